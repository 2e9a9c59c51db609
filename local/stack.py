"""One instance of the local stack as a whole: up, down, and the breaks that tests make.

The order of things lives here and nowhere else. Every piece may be started twice and stopped
twice without harm.
"""

from __future__ import annotations

import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from local.environment import build_environment, read_env_file, write_environment
from local.errors import StackError
from local.gateway import Gateway
from local.instance import Instance, State
from local.migrations import (
    apply_migrations,
    bootstrap,
    bootstrap_version,
    finish_bootstrap,
)
from local.ports import DEFAULT_PORT, is_free, release_ports, reserve_ports
from local.postgres import Postgres
from local.postgrest import Postgrest
from local.prepared import PreparedCluster
from local.programs import PROJECT, find_postgres
from local.project import read_project
from local.realtime import Realtime
from local.redis import Redis


if TYPE_CHECKING:
    from collections.abc import Iterator


DEFAULT_DIRECTORY = PROJECT / ".local"
PIECES = ("gateway", "realtime", "postgrest", "postgres", "redis")


@dataclass(frozen=True, slots=True)
class Report:
    """What `up` did, for people to read."""

    env: dict[str, str]
    notes: list[str]
    seconds: dict[str, float] = field(default_factory=dict)


class Stack:
    """An instance, by its directory."""

    def __init__(  # noqa: PLR0913 - each is an option of the command line
        self,
        directory: Path | str = DEFAULT_DIRECTORY,
        *,
        port: int = DEFAULT_PORT,
        volatile: bool = False,
        migrations: Path | str | None = None,
        functions: Path | str | None = None,
        fanvue_url: str | None = None,
        dashboard_url: str | None = None,
    ) -> None:
        supabase = PROJECT / "supabase"
        self.instance = Instance(Path(directory))
        self._port = port
        self._volatile = volatile
        self._migrations = Path(migrations or supabase / "migrations").resolve()
        self._functions = Path(functions or supabase / "functions").resolve()
        self._fanvue_url = fanvue_url
        self._dashboard_url = dashboard_url

    def up(self) -> Report:
        """Start what does not run, apply missing migrations, wait until all is well."""
        with self.instance.locked():
            return self._up()

    def down(self, *, reset: bool = False) -> list[str]:
        """Stop what was started here; with `reset` also delete all data."""
        with self.instance.locked():
            stopped = [name for name in PIECES if self._stop(name)]
            release_ports(self.instance.directory)
            if reset:
                self.instance.delete(self.instance.load())
        return stopped

    def env(self) -> dict[str, str]:
        """Return the values that clients need."""
        values = read_env_file(self.instance.env_file)
        if not values:
            raise StackError(f"no instance in {self.instance.directory}: start it with `up`")
        return values

    def running(self) -> dict[str, int | None]:
        """Return the pid of each piece, None where it does not run."""
        found = {name: self.instance.processes.find(name) for name in PIECES}
        return {name: record.pid if record else None for name, record in found.items()}

    def query(self, sql: str) -> str:
        """Run SQL as the superuser and return what it printed."""
        return Postgres(self.instance, self._state(), find_postgres()).run(sql)

    def stop_postgres(self) -> None:
        """Stop the database alone."""
        self._stop("postgres")

    def start_postgres(self) -> None:
        """Start the database again."""
        state = self._state()
        Postgres(self.instance, state, find_postgres()).start()

    def stop_redis(self) -> None:
        """Stop Redis alone."""
        self._stop("redis")

    def start_redis(self) -> None:
        """Start Redis again, empty."""
        Redis(self.instance, self._state().ports.redis).start()

    def stop_realtime(self) -> None:
        """Stop Realtime alone."""
        self._stop("realtime")

    def start_realtime(self) -> None:
        """Start Realtime again."""
        realtime = Realtime(self.instance, self._state().ports)
        realtime.start(self.env())
        realtime.wait()

    def restart_gateway(self) -> None:
        """Stop Auth, functions and the HTTP side of Redis, and start them again."""
        self._stop("gateway")
        gateway = Gateway(self.instance, self._state(), self._functions)
        gateway.start(self.env())
        gateway.wait()

    def _up(self) -> Report:
        notes: list[str] = []
        state = self._choose_state(notes)
        prepared = None
        if state.volatile and not self._is_bootstrapped(state):
            prepared = PreparedCluster(find_postgres(), self._migrations)
        with prepared.awaited() if prepared else nullcontext():
            return self._start(state, notes, prepared)

    def _start(self, state: State, notes: list[str], prepared: PreparedCluster | None) -> Report:
        clock = _Stopwatch()
        env = build_environment(self.instance, state.ports, self._fanvue_url, self._dashboard_url)
        postgres = Postgres(self.instance, state, find_postgres())
        gateway = Gateway(self.instance, state, self._functions)
        realtime = Realtime(self.instance, state.ports)
        project = read_project(self._functions.parent / "config.toml")
        postgrest = Postgrest(self.instance, state.ports, project)
        redis = Redis(self.instance, state.ports.redis)
        # The gateway waits for the database by itself, so Node loads while PostgreSQL starts.
        with ThreadPoolExecutor(max_workers=2) as pool:
            beside = pool.submit(redis.start)
            with clock.measure("database"):
                new = self._start_database(postgres, prepared)
            beside.result()
        with clock.measure("gateway"):
            realtime.start(env)
            gateway.start(env)
            gateway.wait()
            realtime.wait()
        if new:
            finish_bootstrap(postgres)
            self.instance.file("bootstrapped").write_text(bootstrap_version(), encoding="utf-8")
        postgres.run("select realtime.create_partitions()")
        with clock.measure("migrations"):
            applied = apply_migrations(postgres, self._migrations)
        with clock.measure("PostgREST"):
            if applied:
                # It would hear of the new schema, but a moment later.
                postgrest.stop()
            version = postgrest.start(env).version
            postgrest.wait()
        notes.append(f"/rest/v1 is PostgREST {version}")
        if new and prepared is not None:
            with clock.measure("copy for the next"):
                self._stop("postgres")
                prepared.keep(Path(state.postgres_data))
                postgres.start()
                gateway.wait()
                postgrest.wait()
        if applied:
            notes.append(f"applied {len(applied)} migrations, up to {applied[-1]}")
        write_environment(self.instance, env)
        return Report(env=env, notes=notes, seconds=clock.seconds)

    def _is_bootstrapped(self, state: State) -> bool:
        marker = self.instance.file("bootstrapped")
        if not marker.exists() or not (Path(state.postgres_data) / "PG_VERSION").exists():
            return False
        if marker.read_text(encoding="utf-8") != bootstrap_version():
            raise StackError(
                f"the database in {self.instance.directory} was made by another version of this "
                "stack; delete it and start again: .venv/bin/python -m local down --reset --dir "
                f"{shlex.quote(str(self.instance.directory))}"
            )
        return True

    def _start_database(self, postgres: Postgres, prepared: PreparedCluster | None) -> bool:
        """Start the database; True when it still lacks the rest of the bootstrap."""
        state = self._state()
        if self._is_bootstrapped(state):
            postgres.start()
            return False
        # A bootstrap that was interrupted leaves nothing worth keeping.
        self._stop("gateway")
        postgres.stop()
        marker = self.instance.file("bootstrapped")
        marker.unlink(missing_ok=True)
        if prepared is not None and prepared.exists:
            prepared.copy_to(Path(state.postgres_data))
            marker.write_text(bootstrap_version(), encoding="utf-8")
            postgres.start()
            return False
        postgres.create()
        postgres.start()
        bootstrap(postgres)
        return True

    def _choose_state(self, notes: list[str]) -> State:
        known = self.instance.load()
        preferred = known.port if known else self._port
        port = preferred
        if not self._keeps_ports(known):
            for name in PIECES:
                self._stop(name)
            port = reserve_ports(preferred, self.instance.directory).gateway
        if port != preferred:
            notes.append(f"port {preferred} or a neighbour is taken: using the block at {port}")
        data = known.postgres_data if known else str(self.instance.choose_data_directory())
        if not Path(data).is_relative_to(self.instance.directory):
            notes.append(f"the database user may not enter the directory: data is in {data}")
        volatile = known.volatile if known else self._volatile
        state = State(port=port, volatile=volatile, postgres_data=data)
        self.instance.save(state)
        return state

    def _keeps_ports(self, known: State | None) -> bool:
        """Tell whether the remembered ports are ours or free, piece by piece."""
        if known is None:
            return False
        running = self.running()
        ports = known.ports
        owners = {
            ports.gateway: "gateway",
            ports.upstash: "gateway",
            ports.postgres: "postgres",
            ports.redis: "redis",
            ports.realtime: "realtime",
            ports.postgrest: "postgrest",
            ports.postgrest_admin: "postgrest",
        }
        return all(running[name] is not None or is_free(port) for port, name in owners.items())

    def _stop(self, name: str) -> bool:
        state = self.instance.load()
        if name == "postgres" and state is not None:
            return Postgres(self.instance, state, find_postgres()).stop()
        return self.instance.processes.stop(name)

    def _state(self) -> State:
        state = self.instance.load()
        if state is None:
            raise StackError(f"no instance in {self.instance.directory}: start it with `up`")
        return state


class _Stopwatch:
    """Seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[step] = round(time.monotonic() - began, 2)
