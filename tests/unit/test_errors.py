"""Errors say what is wrong and what to do, and never repeat a secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from worker import errors
from worker.errors import (
    CursorExpired,
    DatabaseUnavailable,
    Misconfigured,
    ProviderContract,
    SyncError,
    Throttled,
    Transient,
    UsageError,
)


def every_error() -> list[type[SyncError]]:
    return [
        found
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, SyncError)
    ]


def build(kind: type[SyncError], message: str) -> SyncError:
    if kind is Throttled:
        return Throttled(message, until=datetime(2026, 1, 1, tzinfo=UTC))
    return kind(message)


def test_codes_are_distinct() -> None:
    codes = [kind.code for kind in every_error()]

    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", every_error())
def test_no_error_repeats_a_secret(kind: type[SyncError]) -> None:
    error = build(kind, "failed with Bearer abcdef123456 and fse1.k1.AAAA and eyJabcdef.eyJ.sig")

    shown = f"{error} {error!r} {error.operator_message} {error.describe()} {error.args}"
    for secret in ("abcdef123456", "fse1.k1", "eyJabcdef"):
        assert secret not in shown


@pytest.mark.parametrize("kind", every_error())
def test_every_error_names_a_remedy(kind: type[SyncError]) -> None:
    error = build(kind, "it broke")

    assert error.operator_message.startswith("it broke; ")
    assert error.describe()["kind"] == kind.code
    assert error.describe()["remedy"]


def test_what_passes_by_itself_is_transient() -> None:
    assert issubclass(Throttled, Transient)
    assert issubclass(CursorExpired, Transient)
    assert issubclass(DatabaseUnavailable, Transient)
    assert not issubclass(ProviderContract, Transient)


def test_a_database_code_in_a_message_stays_readable() -> None:
    assert "PT410" in SyncError('refused with {"code":"PT410"}').message


def test_the_exit_code_tells_configuration_and_usage_from_failure() -> None:
    assert Misconfigured("x").exit_code == 2
    assert UsageError("x").exit_code == 2
    assert Transient("x", retry_after=timedelta(seconds=3)).exit_code == 1
