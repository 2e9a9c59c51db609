"""Removes secrets from anything that is about to be shown: log fields, error texts, payloads.

Works on names (a field called like a secret) and on values (a text shaped like one, or a known
one). It must never raise, and never let a value through because its type is unfamiliar.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID


HIDDEN = "[hidden]"
MAX_DEPTH = 12
# Shorter secrets would blank out ordinary words.
SHORTEST_KNOWN = 6

_SECRET_NAME = re.compile(
    r"token|secret|passw|authori[sz]ation|cookie|api[-_ ]?key|service[-_ ]?role|encryption[-_ ]?key"
    r"|private[-_ ]?key|signature|credential|bearer|jwt",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"fse1\.[^\s\"',]+"
    r"|(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"
    r"|sb_secret_[A-Za-z0-9_-]+"
    r"|(?:ory_[a-z]{2,4}|whsec|xox[a-z])[_-][A-Za-z0-9._~-]+"
    r"|(?P<scheme>\b(?:Bearer|Basic))\s+[A-Za-z0-9._~+/=-]{6,}"
    # A whole header: what follows its name, whatever the scheme or the cookies.
    r"|(?P<header>\b(?:proxy-authorization|authorization|set-cookie|cookie)[\"']?\s*[=:]\s*"
    r"(?:(?:Bearer|Basic)\s+)?[\"']?)[^\r\n\"']+"
    # What a message says of a setting is no value: values follow "=".
    r"|(?!(?-i:(?:SUPABASE|FANVUE|TOKEN|UPSTASH)_[A-Z_]+): )"
    r"(?P<name>[\"']?\b[\w-]{0,40}?(?:token|secret|passw(?:or)?d|passphrase|credential|signature"
    r"|session[-_]?id|code[-_]verifier|(?:api|secret|private|encryption|service[-_]?role)[-_]?key)"
    r"[\"']?\s*[=:]\s*[\"']?|[?&](?:code|state)=)(?!\[hidden\])[^\s&\"',;}\])]+"
    r"|(?P<option>--?[\w-]{0,20}(?:token|secret|password|key)\s+)[^\s-][^\s]{5,}"
    r"|(?P<list>\b[A-Z0-9_]{1,40}_(?:SECRETS|KEYS)\s*=\s*)[^\s]{6,}"
    r"|(?P<hook>https://hooks\.[^\s/]{1,80}/)[^\s\"']+"
    r"|(?P<user>\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{0,80}:)[^\s/]+(?=@)"
    r"|(?P<bare>\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@:?#]{6,}(?=@)",
    re.IGNORECASE,
)
_LABELS = ("header", "name", "option", "list", "hook", "user", "bare")
_PLAIN = (int, float, bool, Decimal, datetime, date, time, timedelta, UUID, type(None))


def redact_text(text: str) -> str:
    """Replace every part of a text that looks like a secret."""
    return _SECRET_TEXT.sub(_keep_label, text)


def _keep_label(found: re.Match[str]) -> str:
    if found["scheme"]:
        return f"{found['scheme']} {HIDDEN}"
    label = next((found[name] for name in _LABELS if found[name]), "")
    return f"{label}{HIDDEN}"


def is_secret_name(name: str) -> bool:
    """Tell whether a field's name suggests that its value is secret."""
    return _SECRET_NAME.search(name) is not None


class Redactor:
    """Redacts nested values; also knows the exact secrets of this process."""

    def __init__(self, known: tuple[str, ...] = ()) -> None:
        worth_hiding = {value for value in known if len(value) >= SHORTEST_KNOWN}
        longest_first = sorted(worth_hiding, key=len, reverse=True)
        self._known = (
            re.compile("|".join(re.escape(value) for value in longest_first))
            if longest_first
            else None
        )

    def text(self, text: str) -> str:
        """Redact one text."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return redact_text(text)

    def value(self, value: object, *, name: str = "", depth: int = 0) -> Any:
        """Return a copy of any value that is safe to show and to serialise."""
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, _PLAIN):
            return value
        if is_secret_name(name):
            return HIDDEN
        if isinstance(value, str):
            return self.text(value)
        return self._nested(value, name, depth)

    def _nested(self, value: object, name: str, depth: int) -> Any:
        if depth >= MAX_DEPTH:
            return "[too deep]"
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | AbstractSet):
            return [self.value(item, name=name, depth=depth + 1) for item in value]
        return self._unknown(value)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        return {
            self.text(str(key)): self.value(item, name=str(key), depth=depth + 1)
            for key, item in value.items()
        }

    def _unknown(self, value: object) -> str:
        try:
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        except Exception:  # noqa: BLE001 - a broken __str__ must not break logging
            return f"[{type(value).__name__}]"
        return self.text(text)
