"""Fixtures that every suite shares: the stack that runs for the tests.

Only fixtures and pytest's hooks; what they need is in tests/support.
"""

from __future__ import annotations

import signal

import pytest

from tests.support.postgres import PROJECT, stack_settings
from tests.support.shards import deal, read_shard, read_table


@pytest.fixture(scope="session")
def stack() -> dict[str, str]:
    """Return the settings of the running stack; without one, the test fails."""
    return stack_settings()


def pytest_configure() -> None:
    """Let Ctrl-C end the programs under test, also when a shell's background ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a suite be run in parts."""
    parser.addoption("--shard", metavar="I/N", help="run the Ith of N parts of what is selected")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the files of this part; every file belongs to exactly one."""
    shard = config.getoption("--shard")
    if shard is None:
        return
    number, parts = read_shard(shard)
    files = {item: item.path.relative_to(PROJECT).as_posix() for item in items}
    dealt = deal(files.values(), read_table(), parts)
    other = [item for item in items if dealt[files[item]] != number]
    items[:] = [item for item in items if dealt[files[item]] == number]
    config.hook.pytest_deselected(items=other)
