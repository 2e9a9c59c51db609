"""The authorization server's HTTP side: authorize, token, revoke and discovery.

Clients authenticate by HTTP Basic only. Faults strike here too; that includes losing the
answer of a refresh that took effect.
"""

from __future__ import annotations

import binascii
import html
from base64 import b64decode
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from simulator import mishaps
from simulator.faults import Moment
from simulator.journal import Entry
from simulator.knobs import Consent
from simulator.oauth.consents import SCOPES, Refusal
from simulator.oauth.tokens import InvalidGrant, TokenPair
from simulator.replies import Reply, to_response


if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from simulator.simulation import Simulation


NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
DENIED = Refusal("access_denied", "The resource owner denied the request.")
BAD_REQUEST = 400


class OAuthPages:
    """All routes of the authorization server."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/oauth2/auth", self.authorize, methods=["GET"]),
            Route("/oauth2/token", self.token, methods=["POST"]),
            Route("/oauth2/revoke", self.revoke, methods=["POST"]),
            Route("/.well-known/openid-configuration", self.discovery, methods=["GET"]),
        ]

    async def authorize(self, request: Request) -> Response:
        """Ask for consent, or take it from `login_hint`, and send the browser back."""
        query = dict(request.query_params)
        sim = self._sim
        client = sim.consents.clients.get(query.get("client_id", ""))
        if client is None or not client.allows(query.get("redirect_uri", "")):
            return _error(Refusal("invalid_request", "Unknown client_id or redirect_uri."))
        with sim.world.lock:
            refusal = sim.consents.review(query)
            if refusal is not None:
                return _back(query, refusal)
            if query.get("sim_consent") == Consent.DENY:
                return _back(query, DENIED)
            hint = query.get("login_hint", "")
            user_uuid = self._user(hint)
            if user_uuid is None:
                return self._consent_page(query)
            if sim.knobs.of(user_uuid).consent is Consent.DENY:
                return _back(query, DENIED)
            code = sim.consents.consent(query, user_uuid)
        return _redirect(query, {"code": code, "scope": query["scope"]})

    async def token(self, request: Request) -> Response:
        """Exchange a code or refresh token for a pair."""
        body = await request.body()
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        owner = self._sim.tokens.owner_of(form.get("refresh_token", ""))
        return await self._guarded(request, owner, lambda: self._token(request, form))

    async def revoke(self, request: Request) -> Response:
        """Revoke a token; unknown tokens are no error."""
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))

        def act() -> Reply:
            client_id = self._client(request, form)
            if client_id is None:
                return _invalid_client()
            self._sim.tokens.revoke(client_id, form.get("token", ""))
            return Reply({})

        return await self._guarded(request, self._sim.tokens.owner_of(form.get("token", "")), act)

    async def discovery(self, request: Request) -> Response:
        """Describe the server."""
        base = str(request.base_url).rstrip("/")
        return to_response(
            Reply(
                {
                    "issuer": base,
                    "authorization_endpoint": f"{base}/oauth2/auth",
                    "token_endpoint": f"{base}/oauth2/token",
                    "revocation_endpoint": f"{base}/oauth2/revoke",
                    "response_types_supported": ["code"],
                    "grant_types_supported": ["authorization_code", "refresh_token"],
                    "code_challenge_methods_supported": ["S256"],
                    "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                    "scopes_supported": sorted(SCOPES),
                }
            )
        )

    async def _guarded(self, request: Request, owner: str | None, act: Any) -> Response:
        sim = self._sim
        path, now = request.url.path, sim.clock.now_ms()
        entry = Entry(now, request.method, path, {}, template=path, creator=owner)
        fault = sim.faults.pick(request.method, path, owner, sim.world.random)
        response = None
        if fault is not None:
            entry.fault = fault.kind
            sim.stats.count("faults", owner)
            if fault.moment is Moment.BEFORE:
                response = await mishaps.suffer(fault, request)
        if response is None:
            with sim.world.lock:
                reply: Reply = act()
            response = to_response(reply)
            if fault is not None and fault.kind in mishaps.BODY_FAULTS:
                response = mishaps.spoil(fault, reply)
            elif fault is not None and fault.moment is Moment.AFTER:
                response = await mishaps.suffer(fault, request) or response
        response.headers["Date"] = formatdate(sim.clock.now_ms() / 1000, usegmt=True)
        entry.status = response.status_code
        sim.journal.write(entry)
        return response

    def _token(self, request: Request, form: Mapping[str, str]) -> Reply:
        client_id = self._client(request, form)
        if client_id is None:
            return _invalid_client()
        sim = self._sim
        try:
            match form.get("grant_type"):
                case "refresh_token":
                    pair = sim.tokens.refresh(client_id, form.get("refresh_token", ""))
                    return self._pair(pair, with_id=False)
                case "authorization_code":
                    return self._pair(sim.consents.exchange(client_id, form), with_id=True)
                case _:
                    return _oauth_error("unsupported_grant_type", "Unknown grant_type.")
        except InvalidGrant as error:
            return _oauth_error("invalid_grant", str(error))

    def _pair(self, pair: TokenPair, *, with_id: bool) -> Reply:
        scopes = pair.access.chain.scopes
        body: dict[str, Any] = {
            "access_token": pair.access.text,
            "expires_in": self._sim.tokens.expires_in(pair.access),
        }
        if with_id and "openid" in scopes:
            body["id_token"] = pair.access.text
        if pair.refresh is not None:
            body["refresh_token"] = pair.refresh.text
        body |= {"scope": " ".join(scopes), "token_type": "bearer"}
        return Reply(body, headers=dict(NO_STORE))

    def _client(self, request: Request, form: Mapping[str, str]) -> str | None:
        """Return the authenticated client, or None."""
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            try:
                client_id, _, secret = b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return None
            client_id, secret = unquote_plus(client_id), unquote_plus(secret)
        elif self._sim.knobs.base.basic_auth_only:
            return None
        else:
            client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        return client_id if self._sim.consents.authenticate(client_id, secret) else None

    def _user(self, hint: str) -> str | None:
        users = self._sim.world.users
        if hint in users:
            return hint
        return next((u.uuid for u in users.values() if hint in (u.handle, u.email)), None)

    def _consent_page(self, query: Mapping[str, str]) -> Response:
        items = "".join(
            f'<li><a href="?{_escaped({**query, "login_hint": user.uuid})}">'
            f"Allow as {html.escape(user.display_name)}</a></li>"
            for user in self._sim.world.users.values()
        )
        deny = _escaped({**query, "sim_consent": Consent.DENY.value})
        return HTMLResponse(
            "<!DOCTYPE html><title>Simulated Fanvue</title>"
            f"<h1>Allow {html.escape(query['client_id'])}?</h1>"
            f'<ul>{items}</ul><p><a href="?{deny}">Deny</a></p>'
        )


def _escaped(query: Mapping[str, str]) -> str:
    return html.escape(urlencode(query))


def _back(query: Mapping[str, str], refusal: Refusal) -> Response:
    return _redirect(query, {"error": refusal.error, "error_description": refusal.description})


def _redirect(query: Mapping[str, str], answer: dict[str, str]) -> Response:
    if "state" in query:
        answer["state"] = query["state"]
    target = query["redirect_uri"]
    return RedirectResponse(f"{target}{'&' if '?' in target else '?'}{urlencode(answer)}", 302)


def _error(refusal: Refusal) -> Response:
    return to_response(_oauth_error(refusal.error, refusal.description))


def _oauth_error(error: str, description: str, status: int = BAD_REQUEST) -> Reply:
    body = {"error": error, "error_description": description}
    return Reply(body, status, headers=dict(NO_STORE))


def _invalid_client() -> Reply:
    reply = _oauth_error("invalid_client", "Client authentication failed or unsupported.", 401)
    reply.headers["WWW-Authenticate"] = "Basic"
    return reply
