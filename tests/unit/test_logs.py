"""Every log line is one event, and no secret reaches it on any way."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from worker.logs import NOISY_LOGGERS, bound, configure_logging
from worker.redaction import HIDDEN, Redactor, is_secret_name, redact_text


if TYPE_CHECKING:
    from collections.abc import Iterator

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtYWRlLXVwIn0.c2lnbmF0dXJl"
SHAPED = [
    "fse1.k1.AAECAwQFBgcICQoLzv",
    JWT,
    "sb_secret_made_up_123",
    "ory_rt_made-up.123",
    "ory_at_made-up.123",
    "ory_ac_made-up.123",
    "whsec_made-up123",
]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    pinned = {name: logging.getLogger(name).level for name in NOISY_LOGGERS}
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in pinned.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_its_fields(stream: io.StringIO) -> None:
    configure_logging(stream=stream)

    structlog.get_logger("worker.test").info("page_applied", rows=50, token_version=3)

    (event,) = events(stream)
    assert event["event"] == "page_applied"
    assert (event["rows"], event["token_version"]) == (50, 3)
    assert (event["level"], event["logger"]) == ("info", "worker.test")
    assert event["timestamp"].endswith("Z")


def test_bound_fields_hold_inside_the_block_only(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    log = structlog.get_logger("worker.test")

    with bound(job_id=7):
        log.info("inside")
    log.info("outside")

    inside, outside = events(stream)
    assert inside["job_id"] == 7
    assert "job_id" not in outside


def test_the_standard_library_goes_the_same_way(stream: io.StringIO) -> None:
    configure_logging(stream=stream)

    logging.getLogger("somebody.else").warning("got %s", f"Bearer {JWT}")

    (event,) = events(stream)
    assert event["event"] == f"got Bearer {HIDDEN}"
    assert event["logger"] == "somebody.else"


def test_exceptions_are_logged_without_their_secrets(stream: io.StringIO) -> None:
    configure_logging(stream=stream, secrets=["made-up-opaque-secret"])

    try:
        raise ValueError(f"{JWT} and made-up-opaque-secret")  # noqa: TRY301 - to have a traceback
    except ValueError:
        structlog.get_logger("worker.test").exception("job_failed")

    (event,) = events(stream)
    assert "ValueError" in event["exception"]
    assert JWT not in stream.getvalue()
    assert "made-up-opaque-secret" not in stream.getvalue()


def test_an_object_that_shows_a_secret_is_hidden_too(stream: io.StringIO) -> None:
    class Careless:
        def __repr__(self) -> str:
            return f"Careless(access_token='{JWT}')"

    configure_logging(stream=stream)

    structlog.get_logger("worker.test").info("x", thing=Careless(), both=[Careless()])

    assert JWT not in stream.getvalue()


def test_chatty_libraries_are_quiet_even_at_debug(stream: io.StringIO) -> None:
    configure_logging("debug", stream=stream)

    for name in NOISY_LOGGERS:
        logging.getLogger(f"{name}.deep").info("too much")

    assert stream.getvalue() == ""


def test_the_level_is_respected(stream: io.StringIO) -> None:
    configure_logging("warning", stream=stream)

    structlog.get_logger("worker.test").info("unseen")
    structlog.get_logger("worker.test").warning("seen")

    assert [event["event"] for event in events(stream)] == ["seen"]


def test_the_console_format_is_readable_and_redacted(stream: io.StringIO) -> None:
    configure_logging(log_format="console", stream=stream)

    structlog.get_logger("worker.test").info("page_applied", rows=50, cookie="made-up-cookie")

    assert "page_applied" in stream.getvalue()
    assert "rows=50" in stream.getvalue()
    assert "made-up-cookie" not in stream.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "access_token",
        "refreshToken",
        "client-secret",
        "Authorization",
        "PASSWORD",
        "set-cookie",
        "apikey",
        "x-api-key",
        "service_role",
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["rows", "bucket", "model_id", "key_id", "cursor", "author"])
def test_ordinary_names_are_left_alone(name: str) -> None:
    assert not is_secret_name(name)


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(data=st.data())
def test_a_shaped_secret_is_found_at_any_depth_and_place(data: st.DataObject) -> None:
    secret = data.draw(st.sampled_from(SHAPED))
    before = data.draw(st.sampled_from(["", " ", "got ", '"', "x=", "(", ",", "\n"]))
    after = data.draw(st.sampled_from(["", " ", '"', ")", ",", "\n", "&b=1"]))
    value: object = before + secret + after
    for wrap in data.draw(st.lists(st.sampled_from(["list", "field", "key", "bytes"]), max_size=8)):
        if wrap == "list":
            value = ["x", value]
        elif wrap == "field":
            value = {"rows": value}
        elif wrap == "key":
            value = {str(value): 1}
        elif isinstance(value, str):
            value = value.encode()

    assert secret not in json.dumps(Redactor().value(value))


@given(value=JSON_LIKE, name=st.text(max_size=8))
def test_redaction_never_fails_and_its_result_is_serialisable(value: object, name: str) -> None:
    json.dumps(Redactor(("known-secret",)).value({name: value}))


@given(word=st.text(alphabet=st.characters(codec="ascii", categories=["Ll", "Nd"]), max_size=30))
def test_ordinary_texts_are_left_alone(word: str) -> None:
    text = f"walk of {word} stopped at page 3"

    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("grant_type=refresh_token&refresh_token=opaque-1&x=1", "opaque-1"),
        ('{"access_token": "opaque-2", "rows": 1}', "opaque-2"),
        ("https://x.test/callback?code=opaque-3&state=opaque-4", "opaque-3"),
        ("https://x.test/callback?code=opaque-3&state=opaque-4", "opaque-4"),
        ("postgresql://postgres:opaque-5@127.0.0.1:5432/postgres", "opaque-5"),
        ("Authorization: Basic b3BhcXVlLTY6eA==", "b3BhcXVlLTY6eA=="),
        ("client_secret='opaque-7'", "opaque-7"),
        ("Fanvue said: bad token: opaque-8", "opaque-8"),
        ("token=o", "=o"),
        ("webhook_secret : opaque-9 is wrong", "opaque-9"),
        ("cookie: a=opaque-10; session=opaque-11", "opaque-11"),
        ("Authorization: Digest user opaque-12", "opaque-12"),
        ('{"authorization": "Custom opaque-13"}', "opaque-13"),
        ("https://user:opa@que-14@host/path", "que-14"),
        ("https://opaque-15@host/path", "opaque-15"),
        ("fanvue-sync connect --refresh-token opaque-16", "opaque-16"),
        ("FANVUE_WEBHOOK_SECRETS=opaque-17,opaque-18", "opaque-18"),
        ("TOKEN_ENCRYPTION_KEYS=k1:b3BhcXVl", "b3BhcXVl"),
        ("https://hooks.slack.com/services/T0/B0/opaque-19", "opaque-19"),
    ],
)
def test_secrets_are_found_by_their_label(text: str, hidden: str) -> None:
    assert hidden not in redact_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "the token endpoint answered 400: invalid_grant",
        "Fanvue refuses the refresh token (invalid_grant, confirmed): the creator must connect",
        "fanvue-sync connect --creator-uuid 1 --refresh-token -",
        "give both the same secrets: supabase secrets set FANVUE_WEBHOOK_SECRETS=…",
        "set SUPABASE_SECRET_KEY to this project's secret key",
        "token_version=3, tokens: 5, https://api.fanvue.com/v1/chats?cursor=abc",
        "write to someone@example.com: see https://example.com/@handle",
    ],
)
def test_what_only_speaks_of_secrets_is_left_alone(text: str) -> None:
    assert redact_text(text) == text


def test_nesting_without_end_is_cut_off() -> None:
    value: list[object] = []
    value.append(value)

    assert "[too deep]" in json.dumps(Redactor().value(value))


def test_an_object_that_cannot_be_shown_does_not_break_logging() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    assert Redactor().value(Broken()) == "[Broken]"
