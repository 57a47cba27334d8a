"""Claims: of two live drivers that want the same evaluation, one computes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache

from sqlalchemy import delete, or_, select, update
from sqlalchemy.dialects.sqlite import Insert

from nas.store.connected import Connected, shared_now, upsert
from nas.store.schema import claims


class Claims(Connected):
    """The part of the store about claims."""

    def claim(
        self, keys: Sequence[str], owner: str, lease_s: float, job: str | None = None
    ) -> set[str]:
        """Claim evaluation keys for `lease_s` seconds; returns those that the owner now holds.

        A key is free if nobody holds it, if the owner does, or if its lease ran out.
        """
        if not keys:
            return set()
        with self._write() as connection:
            time = shared_now(connection)
            expires_at = time + timedelta(seconds=lease_s)
            rows = [
                {
                    "key": key,
                    "owner": owner,
                    "job": job,
                    "claimed_at": time,
                    "expires_at": expires_at,
                }
                for key in sorted(set(keys))  # one order, so that two claimers can't deadlock
            ]
            claimed = connection.execute(_claim(connection.dialect.name), rows)
            if claimed.rowcount == len(rows):  # all of them, without asking
                return set(keys)
            mine = select(claims.c.key).where(claims.c.key.in_(list(keys)), claims.c.owner == owner)
            return set(connection.execute(mine).scalars())

    def renew(self, owner: str, lease_s: float) -> int:
        """Hold everything that the owner holds for longer; returns how many keys that are."""
        with self._write() as connection:
            until = shared_now(connection) + timedelta(seconds=lease_s)
            held = update(claims).where(claims.c.owner == owner).values(expires_at=until)
            return connection.execute(held).rowcount

    def release(self, keys: Sequence[str], owner: str) -> None:
        """Give keys up, as far as the owner holds them."""
        if not keys:
            return
        mine = (claims.c.key.in_(list(keys)), claims.c.owner == owner)
        with self._write() as connection:
            connection.execute(delete(claims).where(*mine))


@cache
def _claim(dialect: str) -> Insert:
    insert = upsert(dialect, claims)
    new = insert.excluded
    free = or_(claims.c.owner == new.owner, claims.c.expires_at < new.claimed_at)
    taken = {name: new[name] for name in ("owner", "job", "claimed_at", "expires_at")}
    statement = insert.on_conflict_do_update(index_elements=["key"], set_=taken, where=free)
    return statement.execution_options(preserve_rowcount=True)
