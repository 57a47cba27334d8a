"""Fronts are found along one index by accuracy; what is asked of a measurement is in its indexes."""

from alembic import op

revision = "0008"
down_revision = "0007"

EVALUATIONS = (
    *("comparable", "status", "val_accuracy", "key"),
    *("macs", "parameters", "activations", "memory_bytes"),
    *("val_accuracy_se", "test_accuracy", "created_at", "architecture"),
)
MEASUREMENTS = {
    "ix_measurements_of_architecture": (
        *("architecture", "metric", "device", "id", "value", "evaluation", "artifact"),
    ),
    "ix_measurements_of_evaluation": (
        *("evaluation", "metric", "device", "id", "value", "artifact"),
    ),
    "ix_measurements_fastest": (
        *("device", "metric", "value", "architecture", "evaluation", "artifact"),
    ),
}


def upgrade() -> None:
    op.drop_index("ix_evaluations_walk", "evaluations")
    op.drop_index("ix_evaluations_comparable_best", "evaluations")
    op.create_index("ix_evaluations_comparable_best", "evaluations", list(EVALUATIONS))
    for name in ("device", "of_architecture", "of_evaluation"):
        op.drop_index(f"ix_measurements_{name}", "measurements")
    for name, columns in MEASUREMENTS.items():
        op.create_index(name, "measurements", list(columns))
