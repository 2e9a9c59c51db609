"""Turns an HTTP response into JSON or into the error that says how to recover.

Pure: it looks at a status, headers and a body, and decides nothing about retries. Fanvue has no
single error envelope, and gateways answer in HTML, so every shape is expected here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

from worker.errors import (
    CursorExpired,
    Gone,
    Misconfigured,
    NotFound,
    ProviderContract,
    ScopeMissing,
    SyncError,
    Transient,
    Unauthorized,
)


if TYPE_CHECKING:
    from collections.abc import Callable


LONGEST_QUOTE = 200
LONGEST_INTEGER = 40
# A gateway that blocks us is not asked again at once.
BLOCKED_PAUSE = timedelta(minutes=1)

_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
_UNCLEAN = re.compile(rf"[{_CONTROLS}\ud800-\udfff]")
# The same in JSON's spelling; whole pairs of surrogates are found as well, and stay.
_MAY_BE_UNCLEAN = re.compile(rf"[{_CONTROLS}]|\\[bfr]|\\u(00[0189]|007f|d[89a-f])", re.IGNORECASE)


class EmptyRefusal(Transient):
    """A 400 whose reason is empty; such answers have been seen to pass."""


class VersionRetired(Gone):
    """The API version in our header has been retired."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A response that is neither 2xx nor 304 nor 429."""

    status: int
    body: bytes = field(repr=False)
    asked_with_cursor: bool
    retry_after: timedelta | None = None

    def payload(self) -> Any:
        """Return the body as JSON, or None when it is something else."""
        try:
            return parse_json(self.body)
        except ValueError:
            return None

    def reasons(self) -> list[str]:
        """Return the texts that say why, from whichever envelope was used."""
        payload = self.payload()
        if not isinstance(payload, dict):
            return []
        many = payload.get("errors")
        found = [*(many if isinstance(many, list) else []), payload.get("error")]
        found.append(payload.get("message"))
        return [reason.strip() for reason in found if isinstance(reason, str) and reason.strip()]

    def quote(self) -> str:
        """Return the reasons in one short text."""
        text = "; ".join(self.reasons())
        return f": {text[:LONGEST_QUOTE]}" if text else ""


def parse_json(body: bytes) -> Any:
    """Parse JSON with exact numbers; raise ValueError for anything that is not JSON.

    Texts leave here as Postgres can store them and people can read them: what is no UTF-8, half a
    pair of surrogates, or a control character other than a line break or tab is U+FFFD.
    """
    text = body.decode("utf-8-sig", "replace")
    try:
        parsed = json.loads(
            text,
            strict=False,  # control characters may come unescaped
            parse_float=Decimal,
            parse_int=_exact,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    # Most pages are plain, and the expression takes longer than the parser.
    is_plain = text.isprintable() and "\\" not in text
    return parsed if is_plain or not _MAY_BE_UNCLEAN.search(text) else _clean(parsed)


def judge(refusal: Refusal) -> SyncError:
    """Return the error that a refused call amounts to."""
    if refusal.status >= 500 or refusal.status in {408, 425}:  # noqa: PLR2004 - HTTP's own classes
        return Transient(
            f"Fanvue answered {refusal.status}{refusal.quote()}", retry_after=refusal.retry_after
        )
    return _JUDGES.get(refusal.status, _unexpected)(refusal)


def _bad_request(refusal: Refusal) -> SyncError:
    text = " ".join(refusal.reasons()).lower()
    if not text:
        return EmptyRefusal("Fanvue answered 400 without a reason")
    if "version" in text and "cursor" not in text:
        return _version_error(f"Fanvue refuses our API version{refusal.quote()}", refusal)
    if refusal.asked_with_cursor and "cursor" in text:
        return CursorExpired(f"Fanvue no longer accepts the cursor{refusal.quote()}")
    return ProviderContract(f"Fanvue refused the request{refusal.quote()}")


def _unauthorized(refusal: Refusal) -> SyncError:
    return Unauthorized(f"Fanvue refused the access token{refusal.quote()}")


def _forbidden(refusal: Refusal) -> SyncError:
    if refusal.payload() is None:
        return Transient(
            "something in front of Fanvue blocked the call (403 without JSON)",
            retry_after=refusal.retry_after or BLOCKED_PAUSE,
        )
    return ScopeMissing(f"Fanvue answered 403, the grant does not cover this{refusal.quote()}")


def _not_found(refusal: Refusal) -> SyncError:
    return NotFound(f"Fanvue does not know this{refusal.quote()}")


def _gone(refusal: Refusal) -> SyncError:
    payload = refusal.payload()
    if isinstance(payload, dict) and ("nextVersion" in payload or "version" in refusal.quote()):
        return VersionRetired(
            f"Fanvue retired our API version{refusal.quote()}", remedy=_version_remedy(payload)
        )
    return Gone(f"Fanvue retired this path{refusal.quote()}")


def _unexpected(refusal: Refusal) -> SyncError:
    return ProviderContract(f"Fanvue answered {refusal.status}{refusal.quote()}")


def _version_error(message: str, refusal: Refusal) -> Misconfigured:
    return Misconfigured(message, remedy=_version_remedy(refusal.payload()))


def _version_remedy(payload: Any) -> str:
    following = payload.get("nextVersion") if isinstance(payload, dict) else None
    if isinstance(following, str) and following:
        return f"set FANVUE_API_VERSION to {following[:32]} once the change notes are read"
    return "set FANVUE_API_VERSION to a version that Fanvue supports"


_JUDGES: dict[int, Callable[[Refusal], SyncError]] = {
    400: _bad_request,
    401: _unauthorized,
    403: _forbidden,
    404: _not_found,
    410: _gone,
}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _exact(digits: str) -> int | Decimal:
    # One absurd number must not make the whole page unreadable: long ones are no int in Python.
    return int(digits) if len(digits) <= LONGEST_INTEGER else Decimal(digits)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _UNCLEAN.sub("\ufffd", value.replace("\r\n", "\n"))
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value
