"""Steps from one version of the tables to the next, one file each in `versions`."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from nas.store.schema import VERSION_TABLE

FOLDER = Path(__file__).parent


def migrate(connection: Connection, version: str | None) -> None:
    """Bring the tables from `version` (None: there are none) to the newest, in the caller's
    transaction, so that a step that fails leaves nothing."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(FOLDER))
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    steps = reversed(list(scripts.iterate_revisions("head", version or "base")))
    for step in steps:
        with Operations.context(context):
            step.module.upgrade()
        context.stamp(scripts, step.revision)
