"""Webhook subscriptions over the API: made, listed and deleted by a client for its creator.

The address is called unsigned first, and refused where it refuses that, without a word why. The
signing secret is told once. There is no amending: to change events, replace.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import httpx

from simulator.endpoint import Endpoint
from simulator.replies import NO_CONTENT, ApiError, Forbidden, Invalid, NotFound, Reply
from simulator.webhook_knobs import Probe
from simulator.webhooks.targets import (
    Registration,
    Target,
    is_allowed,
    is_loopback,
    is_public_https,
)


if TYPE_CHECKING:
    from simulator.call import Call


CREATED = 201
PATH = "/webhooks/subscriptions"
EVENT_SCOPES: dict[str, str] = {
    **dict.fromkeys(
        (
            *("creator.payment.succeeded", "creator.refund.created", "creator.dispute.created"),
            *("creator.subscription.activated", "creator.subscription.renewed"),
            "creator.subscription.deactivated",
            "creator.subscription.cancel_at_period_end_changed",
            *("checkout_link.payment.succeeded", "checkout_link.refund.created"),
            "checkout_link.subscription.deactivated",
        ),
        "read:creator",
    ),
    **dict.fromkeys(
        (
            *("creator.message.received", "creator.message.sent"),
            *("creator.message.read", "creator.message.deleted"),
        ),
        "read:chat",
    ),
    **dict.fromkeys(("creator.follow.created", "creator.fan.presence_changed"), "read:fan"),
}


PROBES: dict[Probe, tuple[str, bytes | None]] = {
    Probe.GET: ("GET", None),
    Probe.HEAD: ("HEAD", None),
    Probe.EMPTY: ("POST", None),
    Probe.OBJECT: ("POST", b'{"challenge":"9f2c"}'),
    Probe.EVENT: ("POST", b'{"type":"webhook.ping","data":{}}'),
}
PROBE_SECONDS = 10.0


async def probe(call: Call) -> None:
    """Call the address that is to be subscribed, unsigned; refuse it if it does not answer 2xx."""
    url, _ = _checked(call)
    kind = call.knobs.webhook_probe
    # Nothing is ever sent to another machine: addresses there are believed.
    if kind is Probe.NONE or not is_allowed(url):
        return
    method, body = PROBES[kind]
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=PROBE_SECONDS) as http:
            answer = await http.request(method, url, content=body)
        accepted = answer.is_success
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        accepted = False
    if not accepted:
        raise ApiError(400, {"error": ""})


def register(call: Call) -> Reply:
    """Answer POST /webhooks/subscriptions."""
    url, events = _checked(call)
    registration = Registration(
        id=call.newsroom.new_id(),
        client_id=call.client_id,
        creator_uuid=call.creator.uuid,
        events=tuple(events),
        target=Target(url, secrets.token_urlsafe(24)),
    )
    call.newsroom.targets.register(registration)
    shown = _shown(registration)
    return Reply(shown | {"signingSecret": registration.target.secret}, CREATED)


def registered(call: Call) -> Reply:
    """Answer GET /webhooks/subscriptions."""
    _check_access(call)
    return Reply({"data": [_shown(registration) for registration in _own(call)]})


def unregister(call: Call) -> Reply:
    """Answer DELETE /webhooks/subscriptions/{id}."""
    _check_access(call)
    wanted = call.uuid("id")
    if wanted not in [registration.id for registration in _own(call)]:
        raise NotFound("Subscription not found")
    call.newsroom.targets.remove(wanted)
    return Reply(None, NO_CONTENT)


def _checked(call: Call) -> tuple[str, list[str]]:
    _check_access(call)
    if call.knobs.webhook_registration_400:
        raise ApiError(400, {"error": "Bad Request"})
    url, events = _read(call)
    if any(EVENT_SCOPES[event] not in call.scopes for event in events):
        raise Forbidden
    return url, events


def _check_access(call: Call) -> None:
    if call.knobs.webhook_base_scope not in call.scopes:
        raise Forbidden


def _read(call: Call) -> tuple[str, list[str]]:
    body = call.body if isinstance(call.body, dict) else {}
    url, events = body.get("url"), body.get("events")
    errors = []
    if not isinstance(url, str) or not _allowed(call, url):
        errors.append("url must be a public HTTPS URL")
    if not isinstance(events, list) or not events:
        errors.append("events must contain at least 1 elements")
    elif any(event not in EVENT_SCOPES for event in events):
        errors.append(f"each value in events must be one of: {', '.join(EVENT_SCOPES)}")
    if errors or not isinstance(url, str) or not isinstance(events, list):
        raise Invalid(*errors)
    return url, list(dict.fromkeys(events))


def _allowed(call: Call, url: str) -> bool:
    return is_public_https(url) or (call.knobs.webhook_loopback_urls and is_loopback(url))


def _own(call: Call) -> list[Registration]:
    return call.newsroom.targets.of(call.client_id, call.creator.uuid)


def _shown(registration: Registration) -> dict[str, Any]:
    return {
        "id": registration.id,
        "url": registration.target.url,
        "events": list(registration.events),
    }


ENDPOINTS = [
    Endpoint(PATH, (), register, method="POST", twin=False, ahead=probe),
    Endpoint(PATH, (), registered, twin=False),
    Endpoint(PATH + "/{id}", (), unregister, method="DELETE", twin=False),
]
