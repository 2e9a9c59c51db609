"""Headers steer waiting, whatever nonsense or clock skew they carry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from worker.fanvue.headers import LONGEST_WAIT, rate_seen, retry_after, server_date


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_retry_after_in_seconds() -> None:
    assert retry_after({"retry-after": " 23 "}, now=NOW) == timedelta(seconds=23)


def test_retry_after_as_a_date_is_measured_from_the_servers_own_clock() -> None:
    server_now = NOW - timedelta(minutes=5)
    headers = {
        "date": format_datetime(server_now, usegmt=True),
        "retry-after": format_datetime(server_now + timedelta(seconds=40), usegmt=True),
    }

    assert retry_after(headers, now=NOW) == timedelta(seconds=40)


def test_retry_after_in_the_past_means_now() -> None:
    past = format_datetime(NOW - timedelta(hours=1), usegmt=True)

    assert retry_after({"retry-after": past}, now=NOW) == timedelta(0)


@given(text=st.text() | st.integers().map(str) | st.datetimes().map(str))
def test_no_retry_after_breaks_us_or_makes_us_wait_beyond_a_day(text: str) -> None:
    wait = retry_after({"retry-after": text}, now=NOW)

    assert wait is None or timedelta(0) <= wait <= LONGEST_WAIT


@given(moment=st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment.year >= 1900))
def test_every_date_is_read_back(moment: datetime) -> None:
    whole = moment.replace(microsecond=0)

    assert server_date({"date": format_datetime(whole, usegmt=True)}) == whole


@given(texts=st.tuples(st.text(), st.text(), st.text()))
def test_no_rate_header_breaks_us(texts: tuple[str, str, str]) -> None:
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")

    seen = rate_seen(dict(zip(names, texts, strict=True)), now=NOW)

    assert seen is None or seen.limit >= seen.remaining >= 0


def test_the_reset_is_laid_onto_our_clock() -> None:
    server_now = NOW + timedelta(minutes=1)
    headers = {
        "date": format_datetime(server_now, usegmt=True),
        "x-ratelimit-limit": "200",
        "x-ratelimit-remaining": "187",
        "x-ratelimit-reset": str(int(server_now.timestamp()) + 30),
    }

    seen = rate_seen(headers, now=NOW)

    assert seen is not None
    assert (seen.limit, seen.remaining) == (200, 187)
    assert seen.reset_at == NOW + timedelta(seconds=30)


def test_a_small_reset_is_a_number_of_seconds() -> None:
    headers = {
        "x-ratelimit-limit": "100",
        "x-ratelimit-remaining": "1",
        "x-ratelimit-reset": "12",
    }

    seen = rate_seen(headers, now=NOW)

    assert seen is not None
    assert seen.reset_at == NOW + timedelta(seconds=12)
