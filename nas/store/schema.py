"""The tables. A change here needs a new file in `migrations/versions` and its name in REVISIONS.

SQLAlchemy Core without its ORM: rows come out as frozen dataclasses, so there are no objects to
map, and the import is a tenth of a second shorter. Columns are named as the rows' fields.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
)

from nas.store.columns import Counter, Document, Number, UtcTime, Whole, Words

REVISIONS = ("0001", "0003", "0006", "0007", "0008", "0009")
VERSION_TABLE = "nas_store_version"  # Alembic's usual name may be taken, by Optuna's tables say

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _needed(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _optional(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=True)


def _refers(name: str, kind: Any, to: str, ondelete: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, kind, ForeignKey(to, ondelete=ondelete), nullable=nullable)


jobs = Table(
    "jobs",
    metadata,
    Column("id", Words, primary_key=True),
    _needed("name", Words),
    _needed("owner", Words),
    _needed("kind", Words),
    _needed("state", Words),
    _needed("message", Words),
    _needed("spec", Document),
    _needed("space", Document),
    _needed("objectives", Document),
    _optional("reference", Document),
    _needed("attributes", Document),
    _needed("package_version", Words),
    _optional("driver", Words),
    _optional("driver_host", Words),
    _optional("driver_pid", Whole),
    _optional("heartbeat_at", UtcTime),
    _optional("lease_expires_at", UtcTime),
    _optional("ray_id", Words),
    _optional("request_key", Words),
    _needed("created_at", UtcTime),
    _optional("started_at", UtcTime),
    _optional("ended_at", UtcTime),
    UniqueConstraint("request_key"),
    Index(None, "name"),
    Index(None, "created_at"),
)

COSTS = ("macs", "parameters", "activations", "memory_bytes")

architectures = Table(
    "architectures",
    metadata,
    Column("fingerprint", Words, primary_key=True),
    _needed("body_fingerprint", Words),
    _needed("document", Words),
    *(_needed(name, Whole) for name in COSTS),
    _needed("resolution", Whole),
    _needed("num_classes", Whole),
    _needed("input_channels", Whole),
    _needed("created_at", UtcTime),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("key", Words, primary_key=True),
    _needed("subject", Words),
    _needed("dataset", Words),
    _needed("split", Words),
    _needed("recipe", Words),
    _needed("evaluator", Words),
    _needed("seed", Whole),
    _needed("train_on", Words),
    _refers("architecture", Words, "architectures.fingerprint", "RESTRICT"),
    _refers("job", Words, "jobs.id", "SET NULL"),
    # one name for what may stand on one front: data, split, recipe, evaluator, train_on, fidelity
    _needed("comparable", Words),
    _needed("status", Words),
    _needed("reason", Words),
    _optional("val_accuracy", Number),
    _optional("val_accuracy_se", Number),
    _optional("val_accuracy_spread", Number),
    _needed("val_samples", Whole),
    _optional("test_accuracy", Number),
    _optional("test_accuracy_se", Number),
    _needed("test_samples", Whole),
    *(_optional(name, Whole) for name in COSTS),
    _needed("fidelity", Number),
    _needed("seconds", Number),
    _needed("device", Words),
    _needed("metrics", Document),
    _needed("curve", Document),
    _needed("details", Document),
    _needed("created_at", UtcTime),
    Index(None, "architecture"),
    Index(None, "job"),
    # what a list of the best reads; of what is comparable, with everything that a front of a cost
    # and the accuracy is asked by, so that the rows themselves are not read. (An index that
    # begins with the status would be SQLite's first thought for evaluations by key, too.)
    Index("ix_evaluations_best", "val_accuracy", "key", "status"),
    Index(
        "ix_evaluations_comparable_best",
        *("comparable", "status", "val_accuracy", "key", *COSTS),
        *("val_accuracy_se", "test_accuracy", "created_at", "architecture"),
    ),
)

comparables = Table(
    "comparables",
    metadata,
    Column("id", Words, primary_key=True),
    *(_needed(name, Words) for name in ("dataset", "split", "recipe", "evaluator", "train_on")),
    _needed("fidelity", Number),
)

# the usual fronts, kept up to date: all of a front's members, and perhaps some that two writers
# added at once. A row without an evaluation is a member that was deleted: what it dominated has
# to be looked for again.
fronts = Table(
    "fronts",
    metadata,
    Column("id", Counter, primary_key=True),
    _refers("comparable", Words, "comparables.id", "CASCADE", nullable=False),
    _needed("x", Words),
    _needed("y", Words),
    _needed("x_value", Number),
    _needed("y_value", Number),
    _refers("evaluation", Words, "evaluations.key", "SET NULL"),
    UniqueConstraint("evaluation", "x", "y"),
    Index("ix_fronts_points", "comparable", "x", "y", "x_value", "y_value"),
)

trials = Table(
    "trials",
    metadata,
    Column("job", Words, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Whole, primary_key=True),
    _needed("origin", Words),
    _needed("state", Words),
    _needed("choices", Document),
    _refers("architecture", Words, "architectures.fingerprint", "RESTRICT"),
    _optional("values", Document),
    _optional("errors", Document),
    _needed("violation", Number),
    _needed("reason", Words),
    _needed("attributes", Document),
    _refers("evaluation", Words, "evaluations.key", "SET NULL"),
    _needed("reused", Boolean),
    _needed("created_at", UtcTime),
    _optional("started_at", UtcTime),
    _optional("ended_at", UtcTime),
    Index(None, "architecture"),
    Index(None, "evaluation", "job", "number"),  # which trial of a job an evaluation belongs to
    Index("ix_trials_job_evaluations", "job", "state", "origin", "evaluation"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job", Words, primary_key=True),
    Column("trial", Whole, primary_key=True),
    Column("number", Whole, primary_key=True),
    _needed("state", Words),
    _needed("worker", Words),
    _needed("device", Words),
    _needed("error", Words),
    _needed("seconds", Number),
    _needed("fidelity", Number),
    # what the executor really reserved; NULL in rows from before it was kept
    _optional("cpus", Number),
    _optional("gpus", Number),
    _optional("energy_j", Number),
    _optional("energy_note", Words),
    _optional("started_at", UtcTime),
    _optional("ended_at", UtcTime),
    ForeignKeyConstraint(["job", "trial"], ["trials.job", "trials.number"], ondelete="CASCADE"),
)

datasets = Table(
    "datasets",
    metadata,
    Column("hash", Words, primary_key=True),
    _needed("name", Words),
    _needed("location", Words),
    _needed("sizes", Document),
    _needed("classes", Document),
    _needed("details", Document),
    _needed("created_at", UtcTime),
)

recipes = Table(
    "recipes",
    metadata,
    Column("digest", Words, primary_key=True),
    _needed("document", Document),
    _needed("created_at", UtcTime),
)

devices = Table(
    "devices",
    metadata,
    Column("id", Words, primary_key=True),
    _needed("kind", Words),
    _needed("name", Words),
    _optional("memory_bytes", Whole),
    _needed("details", Document),
    _needed("created_at", UtcTime),
)

families = Table(
    "families",
    metadata,
    Column("id", Words, primary_key=True),
    _refers("job", Words, "jobs.id", "CASCADE", nullable=False),
    _needed("name", Words),
    _refers("baseline", Words, "architectures.fingerprint", "RESTRICT", nullable=False),
    _needed("rule", Words),
    _needed("coefficients", Document),
    _needed("details", Document),
    _needed("created_at", UtcTime),
    UniqueConstraint("job", "name"),
)

members = Table(
    "members",
    metadata,
    Column("family", Words, ForeignKey("families.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Whole, primary_key=True),
    _needed("name", Words),
    _refers("architecture", Words, "architectures.fingerprint", "RESTRICT", nullable=False),
    _optional("phi", Number),
    _optional("target", Number),
    _needed("multipliers", Document),
    _refers("evaluation", Words, "evaluations.key", "SET NULL"),
    _needed("details", Document),
    Index(None, "architecture"),
    Index(None, "evaluation"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", Counter, primary_key=True),
    _needed("sha256", Words),
    _needed("kind", Words),
    _needed("name", Words),
    _needed("bytes", Whole),
    _refers("architecture", Words, "architectures.fingerprint", "RESTRICT"),
    _refers("evaluation", Words, "evaluations.key", "SET NULL"),
    _refers("job", Words, "jobs.id", "SET NULL"),
    _refers("parent", Counter, "artifacts.id", "SET NULL"),
    _needed("details", Document),
    _needed("created_at", UtcTime),
    Index(None, "sha256"),
    Index(None, "architecture"),
    Index(None, "evaluation"),
    Index(None, "parent"),
)

measurements = Table(
    "measurements",
    metadata,
    Column("id", Counter, primary_key=True),
    _needed("metric", Words),
    _optional("value", Number),
    _optional("error", Number),
    _needed("unit", Words),
    _refers("architecture", Words, "architectures.fingerprint", "CASCADE"),
    _refers("evaluation", Words, "evaluations.key", "CASCADE"),
    _refers("artifact", Counter, "artifacts.id", "CASCADE"),
    _refers("device", Words, "devices.id", "RESTRICT"),
    _needed("runtime", Words),
    _needed("precision", Words),
    _optional("batch_size", Whole),
    _optional("threads", Whole),
    _needed("reason", Words),
    _needed("details", Document),
    _needed("created_at", UtcTime),
    Index(None, "artifact", "metric"),
    # how fast is this network; with what is asked of it, so that the row itself is not read
    Index(
        "ix_measurements_of_architecture",
        *("architecture", "metric", "device", "id", "value", "evaluation", "artifact"),
    ),
    Index(
        "ix_measurements_of_evaluation",
        *("evaluation", "metric", "device", "id", "value", "artifact"),
    ),
    # which networks are fast
    Index(
        "ix_measurements_fastest",
        *("device", "metric", "value", "architecture", "evaluation", "artifact"),
    ),
    # which kinds of a metric there are
    Index(
        "ix_measurements_kind",
        *("metric", "device", "runtime", "precision", "batch_size", "threads"),
    ),
)

claims = Table(
    "claims",
    metadata,
    Column("key", Words, primary_key=True),
    _needed("owner", Words),
    _refers("job", Words, "jobs.id", "CASCADE"),
    _needed("claimed_at", UtcTime),
    _needed("expires_at", UtcTime),
    Index(None, "owner"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Words, primary_key=True),
    _needed("digest", Words),
    _needed("name", Words),
    _needed("scopes", Document),
    _needed("created_at", UtcTime),
    _optional("expires_at", UtcTime),
    _optional("revoked_at", UtcTime),
    UniqueConstraint("digest"),
)

exports = Table(
    "exports",
    metadata,
    Column("id", Words, primary_key=True),
    _refers("job", Words, "jobs.id", "CASCADE", nullable=False),
    _refers("architecture", Words, "architectures.fingerprint", "RESTRICT", nullable=False),
    _needed("format", Words),
    _needed("trains", Boolean),
    _needed("owner", Words),
    _needed("state", Words),
    _needed("message", Words),
    _optional("worker", Words),
    _optional("lease_expires_at", UtcTime),
    _refers("artifact", Counter, "artifacts.id", "SET NULL"),
    _needed("created_at", UtcTime),
    _optional("ended_at", UtcTime),
    Index(None, "job"),
    Index(None, "architecture"),
    Index(None, "artifact"),
    Index(None, "state", "created_at"),
)
