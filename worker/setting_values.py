"""The shapes that single settings take: server addresses, lists of secrets, sealing keys.

Pure parsing: it reads no environment, and its complaints never repeat the value.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from worker.sealing import SealingKey


_BETWEEN: Final = re.compile(r"\s*,\s*")


def one_line(value: str) -> str:
    """Return a value without what is blank around it; refuse what a file or a shell left in it."""
    text = value.strip()
    # A list may go on in the next line.
    if not _BETWEEN.sub(",", text).isprintable():
        raise ValueError("has a line end or a control character in it")
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        raise ValueError("stands in quotes, which are not part of it")
    return text


def _header_secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isascii() or " " in text:
        raise ValueError("has a letter or a space that no key has")
    return value


def _server_address(value: str) -> str:
    parts = urlsplit(value.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an address that begins with https://")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("must be a bare address, without credentials or query")
    if parts.scheme == "http" and not _is_nearby(parts.hostname):
        raise ValueError("must use https: secrets travel to this server")
    return value.strip().rstrip("/")


def _secret_address(value: SecretStr) -> SecretStr:
    """Check an address that is a secret itself, as those of incoming webhooks are."""
    parts = urlsplit(value.get_secret_value().strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an address that begins with https://")
    if parts.scheme == "http" and not _is_nearby(parts.hostname):
        raise ValueError("must use https: the address is a secret")
    return SecretStr(value.get_secret_value().strip())


def _is_nearby(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A single label can only be this machine or a neighbour in a private network.
        return "." not in host or host.endswith((".localhost", ".internal", ".local"))
    return address.is_loopback or address.is_private


def _lowered(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _keys(value: object) -> object:
    if not isinstance(value, str):
        return value
    keys: list[SealingKey] = []
    for position, part in enumerate(filter(None, map(str.strip, value.split(","))), start=1):
        try:
            keys.append(SealingKey.parse(part))
        except ValueError as error:
            raise ValueError(f"key number {position} is wrong: {error}") from None
    if not keys:
        raise ValueError("no key in it")
    if len({key.id for key in keys}) < len(keys):
        raise ValueError("two keys have the same id")
    return tuple(keys)


HeaderSecret = Annotated[SecretStr, AfterValidator(_header_secret)]
Address = Annotated[str, AfterValidator(_server_address)]
SecretAddress = Annotated[SecretStr, AfterValidator(_secret_address)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split)]
Word = BeforeValidator(_lowered)
SealingKeys = Annotated[tuple[SealingKey, ...], BeforeValidator(_keys)]
