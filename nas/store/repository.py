"""Store: everything that is known, behind one object."""

from __future__ import annotations

from typing import Self

from nas.store.claims import Claims
from nas.store.comparing import Comparisons
from nas.store.engine import check_version, open_engine
from nas.store.evaluations import Evaluations
from nas.store.exports import Exports
from nas.store.families import Families
from nas.store.jobs import Jobs
from nas.store.lineage import Lineages
from nas.store.records import Records
from nas.store.tokens import Tokens
from nas.store.trials import Trials
from nas.store.usage import Usages


class Store(
    Jobs,
    Trials,
    Evaluations,
    Claims,
    Comparisons,
    Families,
    Lineages,
    Records,
    Usages,
    Tokens,
    Exports,
):
    """A database of jobs, trials, evaluations and what came of them.

    Every method that writes is one transaction: after it returns, what it wrote survives the
    death of this process; if it raises, nothing was written. Methods may be called from several
    threads, and several processes may open the same store. Rows come out as frozen dataclasses.

    Raises:
        StoreError: From any method, if the database does not answer; it may again later.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with Store.open(f"sqlite:///{folder.name}/nas.db") as store:
    ...     job = store.create_job("digits", spec={"trials": 40}, space={})
    ...     store.find_job("digits").state
    'waiting'
    >>> folder.cleanup()
    """

    @classmethod
    def open(cls, url: str, *, create: bool = True, upgrade: bool = False) -> Self:
        """Open a store, `sqlite:///PATH` or `postgresql://USER@HOST/NAME`.

        Args:
            create: Make the tables where there are none, and the file of an SQLite store.
            upgrade: Bring older tables of PostgreSQL up to date; SQLite's always are.

        Raises:
            InvalidRequestError: If the URL can't be read or reached, or holds something else.
        """
        return cls(open_engine(url, create=create, upgrade=upgrade))

    def check_version(self) -> None:
        """Raise if somebody brought the tables to another version since this was opened.

        Raises:
            InvalidRequestError: Then; what is written now could be lost or wrong.
        """
        with self._read() as connection:
            check_version(connection, self.url)

    def close(self) -> None:
        """Close every connection; may be called twice."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
