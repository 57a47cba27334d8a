"""One index by accuracy for fronts, indexes with what is asked of measurements, and none unused."""

from alembic import op

revision = "0009"
down_revision = "0008"

INDEXES = {
    "evaluations": {
        "best": ("val_accuracy", "key", "status"),
        "comparable_best": (
            *("comparable", "status", "val_accuracy", "key"),
            *("macs", "parameters", "activations", "memory_bytes"),
            *("val_accuracy_se", "test_accuracy", "created_at", "architecture"),
        ),
    },
    "measurements": {
        "of_architecture": (
            *("architecture", "metric", "device", "id", "value", "evaluation", "artifact"),
        ),
        "of_evaluation": ("evaluation", "metric", "device", "id", "value", "artifact"),
        "fastest": ("device", "metric", "value", "architecture", "evaluation", "artifact"),
    },
}
GONE = {
    "architectures": ("body_fingerprint", "macs"),
    "evaluations": ("walk", "key_macs", "best", "comparable_best"),
    "measurements": ("device", "of_architecture", "of_evaluation"),
}


def upgrade() -> None:
    for table, names in GONE.items():
        for name in names:
            op.drop_index(f"ix_{table}_{name}", table, if_exists=True)
    for table, indexes in INDEXES.items():
        for name, columns in indexes.items():
            op.create_index(f"ix_{table}_{name}", table, list(columns), if_not_exists=True)
