"""One index by accuracy for fronts, indexes with what is asked of measurements, and none unused."""

from alembic import op

revision = "0009"
down_revision = "0008"

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
    for name in ("body_fingerprint", "macs"):
        op.drop_index(f"ix_architectures_{name}", "architectures")
    for name in ("walk", "key_macs", "best", "comparable_best"):
        op.drop_index(f"ix_evaluations_{name}", "evaluations")
    op.create_index("ix_evaluations_best", "evaluations", ["val_accuracy", "key", "status"])
    op.create_index("ix_evaluations_comparable_best", "evaluations", list(EVALUATIONS))
    for name in ("device", "of_architecture", "of_evaluation"):
        op.drop_index(f"ix_measurements_{name}", "measurements")
    for name, columns in MEASUREMENTS.items():
        op.create_index(name, "measurements", list(columns))
