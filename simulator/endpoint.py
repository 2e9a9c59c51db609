"""What an endpoint declares about itself, and the paths it is served under.

An endpoint is a pure function from a call to a reply; who may call it is checked at the gate.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from simulator.call import Call, Family
from simulator.replies import Reply


Handler = Callable[[Call], Reply]
# What has to be waited for before a call is answered; it ends the call with an ApiError.
Ahead = Callable[[Call], Awaitable[None]]
BOTH = (Family.UNVERSIONED, Family.V1)
TWIN_PARAMETER = "creatorUserUuid"
TWIN_PREFIX = f"/creators/{{{TWIN_PARAMETER}}}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation; `twin` tells whether it also exists below /creators/{uuid}.

    There it has the same path, or `twin_path`, which takes the scope of agencies alone.
    """

    path: str
    scopes: tuple[str, ...]
    handler: Handler
    method: str = "GET"
    families: tuple[Family, ...] = BOTH
    twin: bool = True
    twin_path: str | None = None
    ahead: Ahead | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """An endpoint under one concrete path."""

    endpoint: Endpoint
    family: Family
    path: str
    for_creator: bool


def serve_paths(endpoints: list[Endpoint]) -> list[Served]:
    """Return every path, in both families and with the agency twins."""
    served = []
    for endpoint in endpoints:
        for family in endpoint.families:
            prefix = "/v1" if family is Family.V1 else ""
            served.append(Served(endpoint, family, prefix + endpoint.path, for_creator=False))
            if endpoint.twin:
                path = prefix + TWIN_PREFIX + (endpoint.twin_path or endpoint.path)
                served.append(Served(endpoint, family, path, for_creator=True))
    return served
