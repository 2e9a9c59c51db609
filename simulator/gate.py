"""The way in to every API endpoint: token, bucket, version, faults, scope, creator.

It decides who is calling for whom, keeps the books on every request and turns endpoint
replies into responses. What an endpoint answers is never decided here.
"""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from simulator import endless, mishaps
from simulator.call import Call, Family, check_uuid
from simulator.endpoint import TWIN_PARAMETER
from simulator.faults import Moment
from simulator.journal import Entry
from simulator.knobs import FamilyState, Validators
from simulator.replies import (
    ApiError,
    Forbidden,
    Invalid,
    NotFound,
    Reply,
    TooMany,
    Unauthorized,
    sunset,
    to_response,
    unsupported_version,
)
from simulator.spoiling import in_capitals, spoil
from simulator.validators import is_unchanged, validator_headers


if TYPE_CHECKING:
    from starlette.requests import Request

    from simulator.endpoint import Ahead, Served
    from simulator.faults import Fault
    from simulator.knobs import Knobs
    from simulator.oauth.tokens import AccessToken
    from simulator.people import Agency, Creator
    from simulator.simulation import Simulation


VERSION_HEADER = "x-fanvue-api-version"
OK = 200
NOT_MODIFIED = 304
BAD_REQUEST = 400
SERVER_ERROR = 500
THROTTLED = 429


class Gate:
    """Serves one endpoint under one path."""

    def __init__(self, simulation: Simulation, served: Served) -> None:
        self._sim = simulation
        self._served = served

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        body = await request.body() if self._served.endpoint.method == "POST" else b""
        with self._sim.world.lock:
            visit = Visit(self._sim, self._served, request)
            response = visit.admit()
            fault = None if response else visit.pick_fault()
        if response is None and fault is not None and fault.moment is Moment.BEFORE:
            response = await mishaps.suffer(fault, request)
        if response is None and (ahead := self._served.endpoint.ahead) is not None:
            response = await visit.look_ahead(ahead, body)
        if response is None:
            with self._sim.world.lock:
                reply = visit.answer(body)
            response = to_response(reply)
            if fault is not None and fault.kind in mishaps.BODY_FAULTS:
                response = mishaps.spoil(fault, reply)
            else:
                response = visit.validate(response)
            if fault is not None and fault.moment is Moment.AFTER:
                response = await mishaps.suffer(fault, request) or response
        return visit.close(response)


class Visit:
    """One request on its way through the gate."""

    def __init__(self, simulation: Simulation, served: Served, request: Request) -> None:
        self._sim = simulation
        self._served = served
        self._request = request
        self._token = _bearer(simulation, request)
        self._now = simulation.clock.now_ms()
        query = dict(request.query_params)
        user = None if self._token is None else self._token.chain.user_uuid
        target = request.path_params[TWIN_PARAMETER].lower() if served.for_creator else user
        self._headers: dict[str, str] = {}
        self._knobs: Knobs = simulation.knobs.of(target)
        self._entry = Entry(
            at=self._now,
            method=request.method,
            path=request.url.path,
            query=query,
            template=served.path,
            creator=target if target in simulation.world.creators else user,
            cursor=query.get("cursor"),
        )

    def admit(self) -> Response | None:
        """Check bucket, version and token; return the refusal, if any."""
        try:
            self._spend()
            self._check_version()
            if self._token is None or not self._sim.tokens.is_valid(self._token):
                raise Unauthorized
        except ApiError as error:
            return to_response(Reply(error.body, error.status))
        return None

    def pick_fault(self) -> Fault | None:
        """Choose what goes wrong with this request, if anything."""
        fault = self._sim.faults.pick(
            self._request.method, self._entry.path, self._entry.creator, self._sim.world.random
        )
        if fault is not None:
            self._entry.fault = fault.kind
            self._sim.stats.count("faults", self._entry.creator)
        return fault

    def answer(self, body: bytes) -> Reply:
        """Let the endpoint answer an admitted call."""
        try:
            reply = endless.answer(self._served.endpoint.handler, self._call(body))
        except ApiError as error:
            return self._refusal(error)
        data = reply.body.get("data") if isinstance(reply.body, dict) else None
        self._entry.rows = len(data) if isinstance(data, list) else None
        if every := self._knobs.spoilt_details:
            reply.body = spoil(self._served.endpoint.path, reply.body, every)
        if self._knobs.ids_in_capitals:
            reply.body = in_capitals(reply.body)
        return reply

    async def look_ahead(self, ahead: Ahead, body: bytes) -> Response | None:
        """Wait for what an answer depends on; return the refusal, if it comes to one."""
        try:
            with self._sim.world.lock:
                call = self._call(body)
            await ahead(call)
        except ApiError as error:
            return to_response(self._refusal(error))
        return None

    def _refusal(self, error: ApiError) -> Reply:
        empty = isinstance(error, Invalid) and self._knobs.empty_error_400
        return Reply({"error": ""} if empty else error.body, error.status)

    def validate(self, response: Response) -> Response:
        """Offer validators with a whole answer, or say that the caller has it already."""
        knobs = self._knobs
        offered = knobs.validators is not Validators.NONE and self._request.method == "GET"
        if not offered or response.status_code != OK:
            return response
        asker = f"{self._entry.bucket} {self._request.url.path}?{self._request.url.query}"
        version = self._sim.versions.observe(asker, bytes(response.body), self._now)
        headers = validator_headers(version, knobs)
        if is_unchanged(version, knobs, self._request.headers):
            self._entry.rows = None
            return Response(status_code=NOT_MODIFIED, headers=headers)
        response.headers.update(headers)
        return response

    def close(self, response: Response) -> Response:
        """Add the headers every response has and write the request down."""
        response.headers.update(self._headers)
        response.headers["Date"] = formatdate(self._sim.clock.now_ms() / 1000, usegmt=True)
        self._entry.status = response.status_code
        stats, creator = self._sim.stats, self._entry.creator
        stats.count("calls", creator)
        if response.status_code == THROTTLED:
            stats.count("throttled", creator)
        elif response.status_code >= BAD_REQUEST:
            stats.count("errors", creator)
        self._sim.journal.write(self._entry)
        return response

    def _spend(self) -> None:
        if self._token is None:
            return
        chain = self._token.chain
        key = f"{chain.client_id}:{chain.user_uuid}"
        if self._served.for_creator:
            key += f":{self._request.path_params[TWIN_PARAMETER].lower()}"
        self._entry.bucket = key
        knobs, path = self._knobs, self._served.endpoint.path
        limit = knobs.endpoint_limits.get(path)
        if limit is not None:
            key += f" {path}"
        allowance = self._sim.buckets.take(
            key,
            self._now,
            knobs.rate_limit if limit is None else limit,
            knobs.rate_window_seconds,
        )
        self._headers = allowance.headers()
        if not allowance.allowed:
            raise TooMany

    def _check_version(self) -> None:
        v1 = self._served.family is Family.V1
        state = self._knobs.v1 if v1 else self._knobs.unversioned
        version = self._request.headers.get(VERSION_HEADER, "")
        if state is FamilyState.MISSING:
            raise NotFound
        when = self._knobs.sunset_versions.get(version)
        if state is FamilyState.SUNSET:
            when = when or "2026-11-01T00:00:00.000Z"
        if when is not None:
            raise sunset(version, when, self._knobs.versions[-1])
        if version not in self._knobs.versions:
            raise unsupported_version(version)

    def _call(self, body: bytes) -> Call:
        token = self._token
        if token is None:
            raise Unauthorized
        endpoint = self._served.endpoint
        needed = set(endpoint.scopes)
        if self._served.for_creator:
            if endpoint.twin_path is not None:
                needed.clear()
            needed.add("write:creator" if self._request.method == "POST" else "read:creator")
        if not needed.issubset(token.chain.scopes):
            raise Forbidden
        world = self._sim.world
        user = world.users[token.chain.user_uuid]
        agency = world.agency_of(user.uuid)
        owner = world.creators.get(user.uuid)
        if self._served.for_creator:
            owner = self._twin_creator(user.uuid, agency)
        if owner is not None:
            owner.ledger.settle(self._now)
        return Call(
            world=world,
            now=self._now,
            knobs=self._knobs,
            family=self._served.family,
            user=user,
            agency=agency,
            owner=owner,
            client_id=token.chain.client_id,
            scopes=frozenset(token.chain.scopes),
            newsroom=self._sim.newsroom,
            query=self._entry.query,
            path=dict(self._request.path_params),
            template=self._served.endpoint.path,
            body=_parse(body),
            cache=self._sim.cache,
        )

    def _twin_creator(self, user_uuid: str, agency: Agency | None) -> Creator:
        target = check_uuid(self._request.path_params[TWIN_PARAMETER], TWIN_PARAMETER)
        creator = self._sim.world.creators.get(target)
        own = target == user_uuid
        if creator is not None and own and not self._knobs.own_creator_path_is_404:
            return creator
        if creator is None or own or agency is None or creator.agency is not agency:
            raise NotFound("Creator not found")
        return creator


def _bearer(simulation: Simulation, request: Request) -> AccessToken | None:
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    return simulation.tokens.lookup(text) if kind.lower() == "bearer" else None


def _parse(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError as error:
        raise Invalid("body is not valid JSON") from error
