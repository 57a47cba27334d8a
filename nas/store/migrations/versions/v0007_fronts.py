"""The usual fronts kept up to date, and indexes for what is asked of a large store."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PARTS = "dataset, split, recipe, evaluator, train_on, fidelity"
COSTS = ("macs", "parameters", "activations", "memory_bytes")


def upgrade() -> None:
    _tables()
    _indexes()
    op.execute(
        f"INSERT INTO comparables (id, {PARTS}) "
        f"SELECT DISTINCT comparable, {PARTS} FROM evaluations WHERE status = 'completed'"
    )
    for x in COSTS:
        for y in ("val_accuracy", "test_accuracy"):
            op.execute(_fill(x, y))


def _fill(x: str, y: str) -> str:
    return f"""
        INSERT INTO fronts (comparable, x, y, x_value, y_value, evaluation)
        SELECT comparable, '{x}', '{y}', {x}, {y}, key
        FROM (
            SELECT comparable, key, {x}, {y}, max({y}) OVER (
                PARTITION BY comparable ORDER BY {x}, {y} DESC
                GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS best_before
            FROM evaluations
            WHERE status = 'completed' AND {x} IS NOT NULL AND {y} IS NOT NULL
        ) AS seen
        WHERE best_before IS NULL OR {y} > best_before
    """


def _tables() -> None:
    op.create_table(
        "comparables",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False),
        sa.Column("evaluator", sa.Text(), nullable=False),
        sa.Column("train_on", sa.Text(), nullable=False),
        sa.Column("fidelity", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparables")),
    )
    op.create_table(
        "fronts",
        sa.Column("id", COUNTER, nullable=False),
        sa.Column("comparable", sa.Text(), nullable=False),
        sa.Column("x", sa.Text(), nullable=False),
        sa.Column("y", sa.Text(), nullable=False),
        sa.Column("x_value", sa.Double(), nullable=False),
        sa.Column("y_value", sa.Double(), nullable=False),
        sa.Column("evaluation", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["comparable"],
            ["comparables.id"],
            name=op.f("fk_fronts_comparable"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["evaluation"],
            ["evaluations.key"],
            name=op.f("fk_fronts_evaluation"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fronts")),
        sa.UniqueConstraint("evaluation", "x", "y", name=op.f("uq_fronts_evaluation_x_y")),
    )
    op.create_index("ix_fronts_points", "fronts", ["comparable", "x", "y", "x_value", "y_value"])


def _indexes() -> None:
    op.drop_index("ix_evaluations_front_macs", "evaluations")
    op.create_index("ix_evaluations_best", "evaluations", ["status", "val_accuracy", "key"])
    op.create_index(
        "ix_evaluations_comparable_best",
        "evaluations",
        ["comparable", "status", "val_accuracy", "key"],
    )
    op.create_index(
        "ix_evaluations_walk",
        "evaluations",
        [
            *("comparable", "status", "macs", sa.text("val_accuracy DESC")),
            *("parameters", "activations", "memory_bytes", "test_accuracy", "created_at", "key"),
            "architecture",
        ],
    )
    op.drop_index("ix_measurements_architecture_metric", "measurements")
    op.drop_index("ix_measurements_evaluation_metric", "measurements")
    for whose in ("architecture", "evaluation"):
        op.create_index(
            f"ix_measurements_of_{whose}",
            "measurements",
            [whose, "metric", "device", "id", "value"],
        )
    op.create_index(
        "ix_measurements_kind",
        "measurements",
        ["metric", "device", "runtime", "precision", "batch_size", "threads"],
    )
