"""Tables are not changed under a driver that writes to them."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from nas.errors import InvalidRequestError
from nas.store import Store
from nas.store.engine import _check_nobody_writes


def guard(store: Store) -> None:
    with store._write() as connection:
        _check_nobody_writes(connection, store.url)


def test_an_upgrade_waits_until_no_driver_holds_a_job(any_url: str) -> None:
    with Store.open(any_url) as store:
        job = store.create_job("flowers", {}, {}).id
        guard(store)
        assert store.take_job(job, "driver", lease_s=60)
        with pytest.raises(InvalidRequestError, match=f"flowers \\({job}\\)"):
            guard(store)
        assert store.take_job(job, "driver", lease_s=-1)  # its lease ran out
        guard(store)
        assert store.take_job(job, "driver", lease_s=60)
        store.release_job(job, "driver")
        guard(store)


def test_a_driver_of_older_tables_is_told_to_stop(empty_postgres: str) -> None:
    with Store.open(empty_postgres) as store:
        store.check_version()
        with store._write() as connection:
            connection.execute(text("UPDATE nas_store_version SET version_num = '9999'"))
        with pytest.raises(InvalidRequestError, match="another version"):
            store.check_version()


def test_the_upgrade_itself_asks(empty_postgres: str) -> None:
    with Store.open(empty_postgres) as store:
        job = store.create_job("flowers", {}, {}).id
        store.take_job(job, "driver", lease_s=60)
        with store._write() as connection:
            connection.execute(text("UPDATE nas_store_version SET version_num = '0001'"))
    with pytest.raises(InvalidRequestError, match=r"(?s)can't be upgraded.*flowers"):
        Store.open(empty_postgres, upgrade=True)
