"""The database of an instance: a PostgreSQL cluster of its own, on loopback TCP only.

Creates, starts and stops the cluster and runs SQL in it as its superuser. It knows nothing of
what the SQL means; the bootstrap and the migrations do.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from local.errors import StackError, log_excerpt
from local.instance import Instance, State, database_user
from local.ports import HOST
from local.processes import START_SECONDS, ProcessRecord, wait_until


if TYPE_CHECKING:
    from local.programs import PostgresPrograms


# As on hosted Supabase: the superuser is not the role that owns the project.
SUPERUSER = "supabase_admin"
OWNER = "postgres"
PASSWORD = "postgres"  # noqa: S105 - the fixed password of every local Supabase stack
DATABASE = "postgres"
# Kind to small machines, and as durable as needed; everything else is PostgreSQL's default.
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "1GB",
    "max_worker_processes": "12",
    "max_parallel_workers": "2",
    "jit": "off",
    "wal_level": "logical",
    "max_replication_slots": "10",
    "max_wal_senders": "10",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u %a ",
    "cluster_name": "fanvue-local",
}
# Commits that nobody waits for reach Realtime when the WAL writer comes round.
_VOLATILE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_writer_delay": "10ms",
}


def database_url(port: int, role: str = OWNER) -> str:
    """Return a role's connection string."""
    return f"postgresql://{role}:{PASSWORD}@{HOST}:{port}/{DATABASE}"


class Postgres:
    """One cluster: create, start, stop, run SQL."""

    def __init__(self, instance: Instance, state: State, programs: PostgresPrograms) -> None:
        self._instance = instance
        self._state = state
        self._programs = programs
        self._data = Path(state.postgres_data)
        self.port = state.ports.postgres

    @property
    def url(self) -> str:
        """The connection string of the project's owner."""
        return database_url(self.port)

    def create(self) -> None:
        """Create an empty cluster; a half-made one is removed first."""
        if self._data.exists():
            shutil.rmtree(self._data)
        scratch = self._data.with_name(self._data.name + ".new")
        if scratch.exists():
            shutil.rmtree(scratch)
        scratch.mkdir(parents=True, mode=0o700)
        user = database_user()
        if user is not None:
            shutil.chown(scratch, user, user)
        # Beside the data: its owner can walk there, which TMPDIR does not promise.
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", suffix=".pw", dir=scratch.parent
        ) as password:
            password.write(PASSWORD)
            password.flush()
            if user is not None:
                shutil.chown(password.name, user, user)
            self._initdb(scratch, password.name, user)
        scratch.rename(self._data)

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        processes = self._instance.processes
        record = processes.find("postgres")
        if record is None:
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            settings = [f"--{name}={value}" for name, value in self._settings().items()]
            record = processes.start(
                "postgres",
                [self._programs.path("postgres"), "-D", str(self._data), *settings],
                user=database_user(),
                cwd=Path("/"),
            )
        self._wait(record)

    def stop(self) -> bool:
        """Stop the server; open connections are closed."""
        return self._instance.processes.stop("postgres", signal.SIGINT)

    def run(self, sql: str | Path, *, role: str = SUPERUSER) -> str:
        """Run SQL, text or a file, in one transaction and return what it printed."""
        source = ["-f", str(sql)] if isinstance(sql, Path) else ["-c", sql]
        answer = subprocess.run(  # noqa: S603 - psql with our own SQL
            [self._programs.path("psql"), "-XqAt1", "-v", "ON_ERROR_STOP=1", *source],
            env={
                **{key: value for key, value in os.environ.items() if not key.startswith("PG")},
                "PGHOST": HOST,
                "PGPORT": str(self.port),
                "PGUSER": role,
                "PGPASSWORD": PASSWORD,
                "PGDATABASE": DATABASE,
                "PGOPTIONS": "-c client_min_messages=warning",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode != 0:
            what = sql if isinstance(sql, Path) else "SQL"
            raise StackError(f"{what} failed:\n{answer.stderr.strip()}")
        return answer.stdout

    def _initdb(self, directory: Path, password_file: str, user: str | None) -> None:
        answer = subprocess.run(  # noqa: S603 - initdb found by local.programs
            [
                self._programs.path("initdb"),
                f"--pgdata={directory}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "--no-instructions",
            ],
            user=user,
            group=user,
            extra_groups=[] if user is not None else None,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode != 0:
            raise StackError(f"initdb failed:\n{answer.stderr.strip()}")

    def _settings(self) -> dict[str, str]:
        preload = [
            name for name in ("pg_cron", "plpgsql_check") if name in self._programs.extensions
        ]
        settings = dict(_SETTINGS, port=str(self.port))
        settings["shared_preload_libraries"] = ",".join(preload)
        if "pg_cron" in preload:
            settings |= {
                "cron.database_name": DATABASE,
                "cron.use_background_workers": "on",
                "cron.timezone": "UTC",
            }
        return settings | (_VOLATILE if self._state.volatile else {})

    def _wait(self, record: ProcessRecord) -> None:
        def settled() -> bool:
            return self._is_ready() or not record.is_running()

        wait_until(settled, START_SECONDS)
        if not self._is_ready():
            log = self._instance.processes.log("postgres")
            raise StackError(f"PostgreSQL did not start on port {self.port}\n{log_excerpt(log)}")

    def _is_ready(self) -> bool:
        # The postmaster itself writes its status on the eighth line, as pg_ctl reads it.
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"  # noqa: PLR2004 - see above
