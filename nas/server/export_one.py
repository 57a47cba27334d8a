"""`python -m nas.server.export_one ID` makes one export that was asked for; the store is
`NAS_STORE`. A process of its own, so that a server neither loads torch nor dies of a network."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from cluster.errors import ClusterError
from nas.errors import InvalidRequestError, NasError
from nas.jobs.deliver import deliver
from nas.jobs.naming import stored_architecture
from nas.jobs.reporter import SilentReporter
from nas.jobs.start import take_up_job
from nas.store import Store
from search_spaces.errors import SearchSpaceError


def make_export(store: Store, export_id: str) -> None:
    """Make an export and write down where its file is.

    Raises:
        NasError, SearchSpaceError: If it can't be made.
    """
    row = store.find_export(export_id)
    if row is None:
        raise InvalidRequestError(f"There is no export {export_id!r}.")
    job = store.find_job(row.job)
    plan = take_up_job(store, job).networks
    network = stored_architecture(store, row.architecture)
    with tempfile.TemporaryDirectory(prefix="nas-export-") as folder:
        (delivery,) = deliver(
            store,
            job,
            plan,
            network,
            [row.format],
            Path(folder),
            SilentReporter(),
            train=row.trains,
            keep=True,
        )
    store.end_export(row.id, artifact=delivery.artifact.id)


def main() -> int:
    """Exit status: 0 done, 1 it can't be made, and the last line says why."""
    try:
        with Store.open(os.environ["NAS_STORE"], create=False) as store:
            make_export(store, sys.argv[1])
    except (NasError, SearchSpaceError, ClusterError) as error:
        print(f"nas: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
