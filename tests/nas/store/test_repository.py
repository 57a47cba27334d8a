"""The same promises on both databases."""

import pytest

from tests.nas.store.contract import RepositoryContract


class TestSqlite(RepositoryContract):
    @pytest.fixture
    def url(self, sqlite_url):
        return sqlite_url


class TestPostgres(RepositoryContract):
    @pytest.fixture
    def url(self, postgres_url):
        return postgres_url
