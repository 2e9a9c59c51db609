"""The grant functions of the database in memory, decision for decision as its SQL makes them.

Tokens pass through as stored. Times come from the same clock as the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from tests.unit.store.rpc_stub import Refusal, RpcStub


if TYPE_CHECKING:
    from tests.support.clock import ManualClock


SUSPECT_FOR = timedelta(seconds=5)
KIND_PAUSE = {"config": timedelta(minutes=5)}


@dataclass
class Grant:
    """A model's tokens as stored, and the refresh that is underway."""

    access: str | None
    refresh: str | None
    expires_at: datetime | None
    issued_at: datetime
    version: int = 1
    status: str = "active"
    fence: int | None = None
    holder: str | None = None
    lease_until: datetime | None = None
    next_try_at: datetime | None = None
    suspect_at: datetime | None = None
    closed_until: datetime | None = None
    failures: int = 0
    last_error: str | None = None

    @property
    def margin(self) -> timedelta:
        ends = self.expires_at or self.issued_at + timedelta(hours=1)
        lifetime = ends - self.issued_at
        wanted = max(timedelta(minutes=5), lifetime / 10)
        return min(timedelta(hours=24), wanted, lifetime / 2)

    def release(self, wait: timedelta | None, error: str | None, now: datetime) -> None:
        self.fence = self.holder = self.lease_until = None
        self.next_try_at = None if wait is None else now + wait
        self.failures = 0 if error is None else self.failures + 1
        if error is None:
            self.suspect_at = None
        self.last_error = error


@dataclass
class GrantBook:
    """All grants by id; a model that is not `behind` a connection has the grant of its own id."""

    clock: ManualClock
    grants: dict[str, Grant] = field(default_factory=dict)
    behind: dict[str, str] = field(default_factory=dict)
    fences: count[int] = field(default_factory=lambda: count(1))

    def stub(self) -> RpcStub:
        return RpcStub(
            self.clock,
            begin_token_refresh=self.begin,
            finish_token_refresh=self.finish,
            fail_token_refresh=self.fail,
            seal_tokens=self.seal,
        )

    def begin(self, asked: dict[str, Any]) -> dict[str, Any]:
        grant_id = self.behind.get(asked["p_model_id"], asked["p_model_id"])
        answer = self._begin(self._grant(grant_id), asked)
        return {**answer, "sealed_for": grant_id}

    def _begin(self, grant: Grant, asked: dict[str, Any]) -> dict[str, Any]:
        now = self.clock.now()
        if grant.status == "reauth_required":
            return {"state": "reauth_required", "reason": "the creator must connect again"}
        if grant.access is None and grant.refresh is None:
            return {"state": "missing"}
        usable = (
            grant.access is not None
            and asked["p_rejected_version"] != grant.version
            and (grant.expires_at is None or grant.expires_at > now + timedelta(seconds=10))
        )
        return self._offer(grant, asked["p_holder"], usable=usable)

    def _offer(self, grant: Grant, holder: str, *, usable: bool) -> dict[str, Any]:
        now = self.clock.now()
        fresh_until = None if grant.expires_at is None else grant.expires_at - grant.margin
        if usable and (fresh_until is None or fresh_until > now):
            return _ready(grant, 3600 if fresh_until is None else _seconds(fresh_until - now))
        if grant.refresh is None:
            if usable:
                return _ready(grant, 60)
            grant.status = "reauth_required"
            return {"state": "reauth_required", "reason": "no refresh token"}
        wait = _pause(grant, holder, now)
        if wait is not None:
            return _ready(grant, 5) if usable else wait
        grant.fence, grant.holder = next(self.fences), holder
        grant.lease_until = now + timedelta(seconds=12)
        return {
            "state": "refresh",
            "fence": grant.fence,
            "version": grant.version,
            "access_token": grant.access,
            "refresh_token": grant.refresh,
        }

    def finish(self, asked: dict[str, Any]) -> dict[str, Any]:
        now, grant = self.clock.now(), self._grant(asked["p_grant_id"])
        version, refresh = asked["p_version"], asked["p_refresh_token"]
        if grant.version == version + 1 and grant.refresh == refresh:
            return {"state": "stored", "version": grant.version}
        overtaken = grant.fence != asked["p_fence"] and _ahead(grant.lease_until, now)
        if grant.version != version or overtaken:
            return {"state": "moved", "version": grant.version}
        grant.access, grant.refresh = asked["p_access_token"], refresh
        grant.issued_at = now
        grant.expires_at = now + timedelta(seconds=asked["p_expires_in_s"])
        grant.version = version + 1
        grant.release(None, None, now)
        return {"state": "stored", "version": grant.version}

    def fail(self, asked: dict[str, Any]) -> dict[str, Any]:
        now, grant = self.clock.now(), self._grant(asked["p_grant_id"])
        kind, message = asked["p_kind"], asked["p_message"]
        if grant.version != asked["p_version"] or grant.fence != asked["p_fence"]:
            return {"state": "moved", "version": grant.version, "retry_in_s": 0}
        if kind == "throttled":
            failures = grant.failures
            grant.release(None, message, now)
            grant.failures = failures
            wait = max(60 if asked["p_retry_after_s"] is None else asked["p_retry_after_s"], 1)
            grant.closed_until = now + timedelta(seconds=wait)
            return {"state": "throttled", "retry_in_s": wait}
        if kind == "invalid_grant":
            if grant.suspect_at is not None and grant.suspect_at <= now - SUSPECT_FOR:
                grant.release(timedelta(hours=1), message, now)
                grant.status = "reauth_required"
                return {"state": "reauth_required", "retry_in_s": None}
            grant.release(timedelta(seconds=10), message, now)
            grant.suspect_at = grant.suspect_at or now
            return {"state": "suspect", "retry_in_s": 10}
        backoff = timedelta(seconds=2) * 2 ** min(grant.failures, 8)
        wait = KIND_PAUSE.get(kind, min(timedelta(minutes=5), backoff))
        grant.release(wait, message, now)
        return {"state": "retry", "retry_in_s": _seconds(wait)}

    def seal(self, asked: dict[str, Any]) -> bool:
        grant = self._grant(asked["p_grant_id"])
        if (grant.access, grant.refresh) != (asked["p_access_from"], asked["p_refresh_from"]):
            return False
        grant.access, grant.refresh = asked["p_access_to"], asked["p_refresh_to"]
        return True

    def _grant(self, grant_id: str) -> Grant:
        grant = self.grants.get(grant_id)
        if grant is None:
            raise Refusal(404, "PT404", "no such model")
        return grant


def _ready(grant: Grant, use_for: float) -> dict[str, Any]:
    return {
        "state": "ready",
        "access_token": grant.access,
        "refresh_token": grant.refresh,
        "version": grant.version,
        "use_for_s": use_for,
    }


def _pause(grant: Grant, holder: str, now: datetime) -> dict[str, Any] | None:
    if _ahead(grant.lease_until, now) and grant.holder != holder:
        return {"state": "wait", "retry_in_s": 0.5}
    if grant.closed_until is not None and grant.closed_until > now:
        wait = _seconds(grant.closed_until - now)
        return {"state": "wait", "retry_in_s": wait, "throttled": True}
    if grant.next_try_at is None or grant.next_try_at <= now:
        return None
    wait = _seconds(grant.next_try_at - now)
    return {"state": "wait", "retry_in_s": wait, "reason": grant.last_error}


def _ahead(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment > now


def _seconds(span: timedelta) -> float:
    return round(span.total_seconds(), 3)
