"""The same promises on both databases."""

import pytest

from tests.nas.store.contract import RepositoryContract
from tests.nas.store.library_contract import LibraryContract


class TestSqlite(RepositoryContract, LibraryContract):
    @pytest.fixture
    def url(self, sqlite_url):
        return sqlite_url


class TestPostgres(RepositoryContract, LibraryContract):
    @pytest.fixture
    def url(self, postgres_url):
        return postgres_url
