"""ETag and Last-Modified of answers, and when a conditional request gets 304.

The tag is a hash of the body. The date moves whenever the body of the same caller, path and
query does, by at least a second, so that the header's whole seconds never hide a change.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING

from simulator.knobs import Validators


if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.knobs import Knobs


REMEMBERED = 50_000
TAGGED = frozenset({Validators.ETAG, Validators.BOTH})
DATED = frozenset({Validators.LAST_MODIFIED, Validators.BOTH})


@dataclass(slots=True)
class Version:
    """The latest body of one request, and the second at which it appeared."""

    digest: str
    second: int


class Versions:
    """What each request was answered last; the oldest requests are forgotten."""

    def __init__(self) -> None:
        self._known: dict[str, Version] = {}

    def observe(self, request: str, body: bytes, now_ms: int) -> Version:
        """Return the version a body is, new or known."""
        digest = hashlib.sha256(body).hexdigest()[:32]
        known = self._known.get(request)
        if known is not None and known.digest == digest:
            return known
        if known is None and len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        second = now_ms // 1000
        if known is not None:
            second = max(second, known.second + 1)
        version = self._known[request] = Version(digest, second)
        return version


def validator_headers(version: Version, knobs: Knobs) -> dict[str, str]:
    """Return the headers that offer a validator."""
    headers = {}
    if knobs.validators in TAGGED:
        headers["ETag"] = f'{"W/" if knobs.weak_etags else ""}"{version.digest}"'
    if knobs.validators in DATED:
        headers["Last-Modified"] = formatdate(version.second, usegmt=True)
    return headers


def is_unchanged(version: Version, knobs: Knobs, asked: Mapping[str, str]) -> bool:
    """Tell whether the caller already has this version; a tag outweighs a date."""
    tags = asked.get("if-none-match")
    if tags is not None and knobs.validators in TAGGED:
        words = [word.strip().removeprefix("W/") for word in tags.split(",")]
        return "*" in words or f'"{version.digest}"' in words
    since = asked.get("if-modified-since")
    if since is None or knobs.validators not in DATED:
        return False
    try:
        return version.second <= parsedate_to_datetime(since).timestamp()
    except ValueError:
        return False
