"""Where events go: the target of the app's settings, and what creators' clients registered.

Addresses that are not loopback may be registered, as with the real service, but nothing is sent to
them, but for the one host that `SIMULATOR_WEBHOOK_HOST` names.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from simulator.webhook_knobs import Signing


if TYPE_CHECKING:
    from simulator.webhooks.events import Event


# A throw-away project elsewhere hears of made-up sales too, if its owner says so.
ALLOWED_HOST: Final = "SIMULATOR_WEBHOOK_HOST"


@dataclass(frozen=True, slots=True)
class Target:
    """An address and the secrets its deliveries are signed with."""

    url: str
    secret: str
    previous_secret: str | None = None

    def secrets(self, signing: Signing) -> list[str]:
        """Return the secrets in use; without a previous one the current one serves."""
        previous = self.previous_secret or self.secret
        if signing is Signing.BOTH:
            return [previous, self.secret]
        return [previous if signing is Signing.PREVIOUS else self.secret]


@dataclass(frozen=True, slots=True)
class Registration:
    """A subscription to events, made over the API by a client for one creator."""

    id: str
    client_id: str
    creator_uuid: str
    events: tuple[str, ...]
    target: Target


class Targets:
    """Every place an event may have to go to."""

    def __init__(self) -> None:
        self.configured: Target | None = None
        self._registrations: dict[str, Registration] = {}

    def register(self, registration: Registration) -> None:
        """Add a registration."""
        self._registrations[registration.id] = registration

    def of(self, client_id: str, creator_uuid: str) -> list[Registration]:
        """Return what a client registered for a creator."""
        return [
            r
            for r in self._registrations.values()
            if r.client_id == client_id and r.creator_uuid == creator_uuid
        ]

    def all(self) -> list[Registration]:
        """Return every registration."""
        return list(self._registrations.values())

    def remove(self, registration_id: str) -> None:
        """Forget a registration."""
        self._registrations.pop(registration_id, None)

    def any_for(self, creator_uuid: str) -> bool:
        """Tell whether anybody listens to a creator."""
        return self.configured is not None or any(
            r.creator_uuid == creator_uuid for r in self._registrations.values()
        )

    def wanting(self, event: Event) -> list[Target]:
        """Return where an event goes."""
        found = [] if self.configured is None else [self.configured]
        found += [
            r.target
            for r in self._registrations.values()
            if r.creator_uuid == event.creator_uuid and event.type in r.events
        ]
        return found


def is_allowed(url: str) -> bool:
    """Tell whether made-up events may be sent there: to this machine, or where its owner says."""
    allowed = os.environ.get(ALLOWED_HOST)
    return is_loopback(url) or (bool(allowed) and urlsplit(url).hostname == allowed)


def is_loopback(url: str) -> bool:
    """Tell whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_public_https(url: str) -> bool:
    """Tell whether an address looks as the real service wants it: HTTPS and a public host."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" or "." not in host:
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return True
