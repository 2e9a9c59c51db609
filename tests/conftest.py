"""Fixtures that every suite shares: the stack of this test process.

Only fixtures and pytest's hooks; what they need is in tests/support.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from tests.support.certificates import read_once
from tests.support.dealing import FileScheduling, rank
from tests.support.engine import silence_cron, wake_cron
from tests.support.own_stack import own_stack, stop_abandoned_stacks
from tests.support.progress import SuiteProgress
from tests.support.stack import VARIABLE, find_local_stack, read_stack, split_local_only
from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer

    from local.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[dict[str, str]]:
    """Return the settings of a running stack: the one FSE_TEST_STACK names, else our own."""
    if VARIABLE in os.environ:
        yield read_stack()
        return
    with own_stack() as settings_file:
        os.environ[VARIABLE] = str(settings_file)
        yield read_stack()
        del os.environ[VARIABLE]


@pytest.fixture
def local_stack(stack: dict[str, str]) -> Iterator[Stack]:
    """Return the local stack, to reach its parts; whatever was stopped runs again after."""
    found = find_local_stack()
    with ExitStack() as again:
        again.callback(_wait_for_rest, stack)
        again.callback(found.query, "select realtime.create_partitions()")
        again.callback(found.start_realtime)
        again.callback(found.start_redis)
        again.callback(found.start_postgres)
        yield found


@pytest.fixture(scope="session")
def silent_cron(stack: dict[str, str]) -> Iterator[None]:
    """Keep pg_cron's ticks out of tests that count; some wake it again for a while.

    Where others silenced it before, as around a run within a run, it stays so.
    """
    with psycopg.connect(stack["SUPABASE_DB_URL"], autocommit=True) as database:
        ticking = database.execute("select from cron.job where active").fetchall()
        silence_cron(database)
    yield
    if ticking:
        with psycopg.connect(stack["SUPABASE_DB_URL"], autocommit=True) as database:
            wake_cron(database)


def pytest_configure(config: pytest.Config) -> None:
    """Make this process ready: what holds for every suite, and what an earlier run left."""
    # Ctrl-C ends the programs under test, also where a shell's background ignores it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    read_once()
    if _is_controller(config):
        stop_abandoned_stacks()


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Replace the dots by the suites' progress."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and _is_controller(session.config):
        session.config.pluginmanager.register(SuiteProgress(reporter))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what a test process could not stop itself because it was ended."""
    if _is_controller(config):
        stop_abandoned_stacks()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the suites with the longest files first; leave out what this stack does not allow."""
    items.sort(key=lambda item: rank(item.nodeid))
    items[:], local_only = split_local_only(items)
    if local_only:
        config.hook.pytest_deselected(items=local_only)


def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than there are cores: tests also wait."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (cores or 1) + 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileScheduling:
    """Deal the tests out by file, except where a folder shares one instance."""
    return FileScheduling(config, log)


def _wait_for_rest(stack: dict[str, str]) -> None:
    """Wait until PostgREST, which looks after its connections itself, has a database again."""
    wait_until(
        lambda: (
            httpx.get(
                f"{stack['SUPABASE_URL']}/rest/v1/agencies?limit=0",
                headers={"apikey": stack["SUPABASE_SECRET_KEY"]},
                timeout=PATIENCE_SECONDS,
            ).is_success
        )
    )


def _is_controller(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput")
