"""The stack under test, whoever started it: five addresses, four keys, the functions' secrets.

A process's own stack, one that `python -m local up` keeps and the official `supabase start` all
fill the same names. What only the local stack allows (to stop a part of it, to give the functions
other settings, to read their logs) needs the fixture `local_stack`; on an external stack those
tests are deselected, and pytest says how many.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from local.environment import read_env_file
from local.errors import StackError
from local.instance import Instance
from local.stack import Stack
from tests.support.postgres import PROJECT


if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest


# Names a file of settings; without it a test process starts a stack of its own.
VARIABLE: Final = "FSE_TEST_STACK"
ADDRESSES: Final = (
    "SUPABASE_URL",
    "SUPABASE_DB_URL",
    "UPSTASH_REDIS_REST_URL",
    "FANVUE_API_URL",
    "FANVUE_AUTH_URL",
)
KEYS: Final = (
    "SUPABASE_PUBLISHABLE_KEY",
    "SUPABASE_SECRET_KEY",
    "SUPABASE_JWT_SECRET",
    "UPSTASH_REDIS_REST_TOKEN",
)
# What the functions were given beside, and the tests must know.
SECRETS: Final = (
    "FANVUE_WEBHOOK_SECRETS",
    "FANVUE_CLIENT_ID",
    "FANVUE_CLIENT_SECRET",
    "TOKEN_ENCRYPTION_KEYS",
)
DASHBOARD_OFFSET: Final = 90
# Where the functions of an external stack send the browser (DASHBOARD_URL).
DASHBOARD_PORT: Final = 3000


def settings_file() -> Path:
    """Return the file that FSE_TEST_STACK names."""
    return PROJECT / os.environ[VARIABLE]


def read_stack() -> dict[str, str]:
    """Read the settings of the stack that FSE_TEST_STACK names; all of them are there."""
    path = settings_file()
    if not path.is_file():
        raise StackError(
            f"{VARIABLE}={os.environ[VARIABLE]!r} names no file. Start a stack with "
            "`python -m local up --dir .local/test --volatile` and set "
            f"{VARIABLE}=.local/test/stack.env, or run `make test`."
        )
    values = read_env_file(path)
    missing = missing_names(values)
    if missing:
        raise StackError(f"{path} does not say {', '.join(missing)}")
    return values


def missing_names(values: Mapping[str, str]) -> list[str]:
    """Return what a stack must say and this one does not."""
    return [name for name in (*ADDRESSES, *KEYS, *SECRETS) if not values.get(name)]


def fanvue_place(values: Mapping[str, str]) -> tuple[str, int]:
    """Return host and port at which this machine serves the Fanvue that the functions know.

    FANVUE_LISTEN says so where their address of it is that of a tunnel.
    """
    address = urlsplit(f"//{values.get('FANVUE_LISTEN', '')}")
    if not address.hostname:
        address = urlsplit(values["FANVUE_API_URL"])
    return address.hostname or "", address.port or 0


def is_local() -> bool:
    """Tell whether the stack is one of `local`, whose parts a test may stop."""
    if VARIABLE not in os.environ:
        return True
    instance = Instance(settings_file().parent)
    return instance.env_file == settings_file().resolve() and instance.load() is not None


def find_local_stack() -> Stack:
    """Return the stack that FSE_TEST_STACK names, to reach its parts."""
    if not is_local():
        raise StackError(f"{settings_file()} is not of a local stack")
    return Stack(settings_file().parent)


def dashboard_place() -> tuple[Instance, int]:
    """Return where a dashboard for this stack keeps its files, and its port."""
    instance = Instance(settings_file().parent)
    state = instance.load()
    if is_local() and state is not None:
        # Within the stack's own block of ports, above its parts.
        return instance, state.port + DASHBOARD_OFFSET
    return Instance(PROJECT / ".local" / "test" / "external"), DASHBOARD_PORT


def split_local_only(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Return the tests that this stack allows, and those that only the local one does."""
    if is_local():
        return items, []
    local_only = [item for item in items if "local_stack" in getattr(item, "fixturenames", ())]
    return [item for item in items if item not in local_only], local_only
