"""The first tables: everything that the plan names, so that later steps add and don't rebuild."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _jobs_and_what_is_searched()
    _trials_and_evaluations()
    _families_files_and_measurements()


def _jobs_and_what_is_searched() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("space", sa.JSON(), nullable=False),
        sa.Column("objectives", sa.JSON(), nullable=False),
        sa.Column("reference", sa.JSON(), nullable=True),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("package_version", sa.Text(), nullable=False),
        sa.Column("driver", sa.Text(), nullable=True),
        sa.Column("driver_host", sa.Text(), nullable=True),
        sa.Column("driver_pid", sa.BigInteger(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ray_id", sa.Text(), nullable=True),
        sa.Column("request_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("request_key", name=op.f("uq_jobs_request_key")),
    )
    op.create_index(op.f("ix_jobs_created_at"), "jobs", ["created_at"])
    op.create_index(op.f("ix_jobs_name"), "jobs", ["name"])
    op.create_table(
        "architectures",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("body_fingerprint", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("macs", sa.BigInteger(), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=False),
        sa.Column("activations", sa.BigInteger(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("resolution", sa.BigInteger(), nullable=False),
        sa.Column("num_classes", sa.BigInteger(), nullable=False),
        sa.Column("input_channels", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_architectures")),
    )
    op.create_index(
        op.f("ix_architectures_body_fingerprint"), "architectures", ["body_fingerprint"]
    )
    op.create_index(op.f("ix_architectures_macs"), "architectures", ["macs"])
    op.create_table(
        "datasets",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("sizes", sa.JSON(), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_datasets")),
    )
    op.create_table(
        "recipes",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_recipes")),
    )
    op.create_table(
        "devices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
    )


def _trials_and_evaluations() -> None:
    op.create_table(
        "evaluations",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False),
        sa.Column("evaluator", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("train_on", sa.Text(), nullable=False),
        sa.Column("architecture", sa.Text(), nullable=True),
        sa.Column("job", sa.Text(), nullable=True),
        sa.Column("comparable", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("val_accuracy", sa.Double(), nullable=True),
        sa.Column("val_accuracy_se", sa.Double(), nullable=True),
        sa.Column("val_accuracy_spread", sa.Double(), nullable=True),
        sa.Column("val_samples", sa.BigInteger(), nullable=False),
        sa.Column("test_accuracy", sa.Double(), nullable=True),
        sa.Column("test_accuracy_se", sa.Double(), nullable=True),
        sa.Column("test_samples", sa.BigInteger(), nullable=False),
        sa.Column("macs", sa.BigInteger(), nullable=True),
        sa.Column("parameters", sa.BigInteger(), nullable=True),
        sa.Column("activations", sa.BigInteger(), nullable=True),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("fidelity", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("curve", sa.JSON(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["architecture"],
            ["architectures.fingerprint"],
            name=op.f("fk_evaluations_architecture"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["job"], ["jobs.id"], name=op.f("fk_evaluations_job"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_evaluations")),
    )
    op.create_index(op.f("ix_evaluations_architecture"), "evaluations", ["architecture"])
    op.create_index(
        "ix_evaluations_front_macs", "evaluations", ["comparable", "status", "macs", "val_accuracy"]
    )
    op.create_index(op.f("ix_evaluations_job"), "evaluations", ["job"])
    op.create_index(
        "ix_evaluations_key_macs",
        "evaluations",
        ["key", "status", "comparable", "macs", "val_accuracy"],
    )
    op.create_table(
        "trials",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.Column("architecture", sa.Text(), nullable=True),
        sa.Column("values", sa.JSON(), nullable=True),
        sa.Column("errors", sa.JSON(), nullable=True),
        sa.Column("violation", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("evaluation", sa.Text(), nullable=True),
        sa.Column("reused", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["architecture"],
            ["architectures.fingerprint"],
            name=op.f("fk_trials_architecture"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["evaluation"],
            ["evaluations.key"],
            name=op.f("fk_trials_evaluation"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["job"], ["jobs.id"], name=op.f("fk_trials_job"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job", "number", name=op.f("pk_trials")),
    )
    op.create_index(op.f("ix_trials_architecture"), "trials", ["architecture"])
    op.create_index(
        op.f("ix_trials_evaluation_job_number"), "trials", ["evaluation", "job", "number"]
    )
    op.create_index("ix_trials_job_evaluations", "trials", ["job", "state", "origin", "evaluation"])
    op.create_table(
        "attempts",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("trial", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("fidelity", sa.Double(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["job", "trial"],
            ["trials.job", "trials.number"],
            name=op.f("fk_attempts_job_trial"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job", "trial", "number", name=op.f("pk_attempts")),
    )
    op.create_table(
        "claims",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["job"], ["jobs.id"], name=op.f("fk_claims_job"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_claims")),
    )
    op.create_index(op.f("ix_claims_owner"), "claims", ["owner"])


def _families_files_and_measurements() -> None:
    op.create_table(
        "families",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("baseline", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("coefficients", sa.JSON(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["baseline"],
            ["architectures.fingerprint"],
            name=op.f("fk_families_baseline"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["job"], ["jobs.id"], name=op.f("fk_families_job"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_families")),
        sa.UniqueConstraint("job", "name", name=op.f("uq_families_job_name")),
    )
    op.create_table(
        "members",
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("architecture", sa.Text(), nullable=False),
        sa.Column("phi", sa.Double(), nullable=True),
        sa.Column("target", sa.Double(), nullable=True),
        sa.Column("multipliers", sa.JSON(), nullable=False),
        sa.Column("evaluation", sa.Text(), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["architecture"],
            ["architectures.fingerprint"],
            name=op.f("fk_members_architecture"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["evaluation"],
            ["evaluations.key"],
            name=op.f("fk_members_evaluation"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["family"], ["families.id"], name=op.f("fk_members_family"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("family", "number", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_architecture"), "members", ["architecture"])
    op.create_index(op.f("ix_members_evaluation"), "members", ["evaluation"])
    op.create_table(
        "artifacts",
        sa.Column("id", COUNTER, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("architecture", sa.Text(), nullable=True),
        sa.Column("evaluation", sa.Text(), nullable=True),
        sa.Column("job", sa.Text(), nullable=True),
        sa.Column("parent", COUNTER, nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["architecture"],
            ["architectures.fingerprint"],
            name=op.f("fk_artifacts_architecture"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["evaluation"],
            ["evaluations.key"],
            name=op.f("fk_artifacts_evaluation"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["job"], ["jobs.id"], name=op.f("fk_artifacts_job"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["parent"], ["artifacts.id"], name=op.f("fk_artifacts_parent"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts")),
    )
    op.create_index(op.f("ix_artifacts_architecture"), "artifacts", ["architecture"])
    op.create_index(op.f("ix_artifacts_evaluation"), "artifacts", ["evaluation"])
    op.create_index(op.f("ix_artifacts_parent"), "artifacts", ["parent"])
    op.create_index(op.f("ix_artifacts_sha256"), "artifacts", ["sha256"])
    op.create_table(
        "measurements",
        sa.Column("id", COUNTER, nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("error", sa.Double(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("architecture", sa.Text(), nullable=True),
        sa.Column("evaluation", sa.Text(), nullable=True),
        sa.Column("artifact", COUNTER, nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("runtime", sa.Text(), nullable=False),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("batch_size", sa.BigInteger(), nullable=True),
        sa.Column("threads", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["architecture"],
            ["architectures.fingerprint"],
            name=op.f("fk_measurements_architecture"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["artifact"],
            ["artifacts.id"],
            name=op.f("fk_measurements_artifact"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["device"], ["devices.id"], name=op.f("fk_measurements_device"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["evaluation"],
            ["evaluations.key"],
            name=op.f("fk_measurements_evaluation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurements")),
    )
    op.create_index(
        op.f("ix_measurements_architecture_metric"), "measurements", ["architecture", "metric"]
    )
    op.create_index(op.f("ix_measurements_artifact_metric"), "measurements", ["artifact", "metric"])
    op.create_index(op.f("ix_measurements_device"), "measurements", ["device"])
    op.create_index(
        op.f("ix_measurements_evaluation_metric"), "measurements", ["evaluation", "metric"]
    )
