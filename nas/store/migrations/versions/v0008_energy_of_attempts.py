"""Attempts tell the energy that they used, whatever came of them; those that completed had it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("energy_j", sa.Double(), nullable=True))
    op.add_column("attempts", sa.Column("energy_note", sa.Text(), nullable=True))
    op.execute(
        """
        UPDATE attempts SET energy_j = (
            SELECT max(measurements.value)
            FROM trials JOIN measurements ON measurements.evaluation = trials.evaluation
            WHERE trials.job = attempts.job AND trials.number = attempts.trial
                AND NOT trials.reused AND measurements.metric = 'energy_j'
        )
        WHERE state = 'completed' AND gpus > 0
        """
    )
