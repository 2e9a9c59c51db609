"""Remembers which path family answers for which endpoint, while both exist side by side.

`/v1` is asked first; where it is missing, the unversioned path is used and `/v1` is asked again
after a day. The memory lasts as long as the process and is only a saving, never a truth.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.fanvue.calls import Family
from worker.settings import ApiFamily


if TYPE_CHECKING:
    from worker.clock import Clock


PROBE_AGAIN_AFTER = timedelta(days=1)

# What an agency finds elsewhere below a creator than the creator finds for themselves; all else
# has the same path there (Fanvue's list of operations, mid 2026).
_OTHERWISE_FOR_AGENCIES = {"/users/account": "/account"}
_NOT_FOR_AGENCIES = frozenset({"/insights/spending"})
_AS_FOR_CREATORS = {theirs: own for own, theirs in _OTHERWISE_FOR_AGENCIES.items()}
_BELOW_CREATOR = "/creators/{uuid}"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def template_of(path: str) -> str:
    """Return the path with every UUID replaced, so that one endpoint is one template."""
    return _UUID.sub("{uuid}", path)


def creators_path(prefix: str, path: str) -> str:
    """Return the path below the creator that a prefix names; without one it stays as it is."""
    return prefix + _OTHERWISE_FOR_AGENCIES.get(path, path) if prefix else path


def is_offered(prefix: str, path: str) -> bool:
    """Tell whether what a creator finds at a path is there for the agency that a prefix names."""
    return not prefix or path not in _NOT_FOR_AGENCIES


def endpoint_of(path: str) -> str:
    """Name the endpoint that a path belongs to, alike for a creator and for their agency.

    What Fanvue says of its limits it says of an endpoint; whose they are, the bucket says.
    """
    template = template_of(path)
    below = template.removeprefix(_BELOW_CREATOR)
    if below == template or not below.startswith("/"):
        return template
    return _AS_FOR_CREATORS.get(below, below)


def full_path(family: Family, path: str) -> str:
    """Return the path as it is sent."""
    return f"/v1{path}" if family is Family.V1 else path


class PathFamilies:
    """Chooses the order in which the families of one endpoint are tried."""

    def __init__(self, setting: ApiFamily, clock: Clock) -> None:
        self._setting = setting
        self._clock = clock
        self._unversioned_since: dict[str, float] = {}

    def candidates(self, path: str) -> tuple[Family, ...]:
        """Return the families to try for a path, the most promising one first."""
        if self._setting is ApiFamily.V1:
            return (Family.V1,)
        if self._setting is ApiFamily.UNVERSIONED:
            return (Family.UNVERSIONED,)
        since = self._unversioned_since.get(template_of(path))
        if since is None or self._clock.monotonic() - since >= PROBE_AGAIN_AFTER.total_seconds():
            return (Family.V1, Family.UNVERSIONED)
        return (Family.UNVERSIONED, Family.V1)

    def answered(self, path: str, family: Family, *, other_was_missing: bool) -> None:
        """Remember which family gave an answer."""
        template = template_of(path)
        if family is Family.V1:
            self._unversioned_since.pop(template, None)
        elif other_was_missing:
            self._unversioned_since[template] = self._clock.monotonic()
