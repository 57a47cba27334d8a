"""Attempts keep what they held of CPUs and GPUs, which a job file no longer tells of all."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0003"


def upgrade() -> None:
    for name in ("cpus", "gpus"):
        op.add_column("attempts", sa.Column(name, sa.Double(), nullable=True))
