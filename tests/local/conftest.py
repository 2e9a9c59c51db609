"""Fixtures for the tests of the local stack: one running instance, and clients of it."""

from __future__ import annotations

import shutil
import time
import uuid
from typing import TYPE_CHECKING

import httpx
import jwt
import pytest

from tests.local.scratch import PROJECT, SECONDS, key_headers, make_stack


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.stack import Stack


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(PROJECT, tmp_path_factory.mktemp("copy") / "project")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[Stack]:
    running = make_stack(tmp_path_factory.mktemp("stack"), project)
    running.up()
    yield running
    running.down(reset=True)


@pytest.fixture(scope="session")
def env(stack: Stack) -> dict[str, str]:
    return stack.env()


@pytest.fixture
def http(env: dict[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=env["SUPABASE_URL"], timeout=SECONDS) as client:
        yield client


@pytest.fixture
def user_id() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def mint_token(env: dict[str, str]) -> Callable[..., str]:
    def mint(user: str, *, secret: str | None = None, seconds: int = 3600) -> str:
        claims = {"sub": user, "role": "authenticated", "exp": int(time.time()) + seconds}
        return jwt.encode(claims, secret or env["SUPABASE_JWT_SECRET"])

    return mint


@pytest.fixture
def as_service(env: dict[str, str]) -> dict[str, str]:
    return key_headers(env["SUPABASE_SECRET_KEY"])


@pytest.fixture
def as_anon(env: dict[str, str]) -> dict[str, str]:
    return key_headers(env["SUPABASE_PUBLISHABLE_KEY"])


@pytest.fixture
def as_user(env: dict[str, str], user_id: str, mint_token: Callable[..., str]) -> dict[str, str]:
    return key_headers(env["SUPABASE_PUBLISHABLE_KEY"], mint_token(user_id))
