"""A creator's way through a connection, as a browser walks it: start, consent, callback, confirm.

Every answer is kept, so that a test can look for what must not be in it. Judges nothing itself.
"""

from __future__ import annotations

import base64
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.serialization import load_der_private_key

from tests.support.waiting import PATIENCE_SECONDS


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.engine import Engine


@dataclass(frozen=True, slots=True)
class Member:
    """A signed-in user of one agency."""

    agency_id: str
    user_id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What the dashboard sends along."""
        return {"authorization": f"Bearer {self.token}"}


def mint(
    environment: Mapping[str, str], user_id: str, *, algorithm: str = "HS256", **claims: Any
) -> str:
    """Make a user's access token, signed with the shared secret or, by ES256, with the new keys."""
    usual = {"sub": user_id, "role": "authenticated", "exp": int(time.time()) + 3600}
    key: Any = environment["SUPABASE_JWT_SECRET"]
    if algorithm == "ES256":
        der = base64.b64decode(environment["SUPABASE_SIGNING_KEY"])
        key = load_der_private_key(der, password=None)
    return jwt.encode({**usual, **claims}, key, algorithm)


def new_member(engine: Engine, agency: str = "Atlas", role: str = "admin") -> Member:
    """Return a member of an agency, which is made if there is none of that name."""
    user_id = str(uuid.uuid4())
    row = engine.database.execute(
        "select id from public.agencies where name = %s", (agency,)
    ).fetchone()
    row = (
        row
        or engine.database.execute(
            "insert into public.agencies (name) values (%s) returning id", (agency,)
        ).fetchone()
    )
    assert row is not None
    engine.database.execute(
        "insert into public.agency_members (agency_id, user_id, role) values (%s, %s, %s)",
        (row[0], user_id, role),
    )
    return Member(str(row[0]), user_id, mint(engine.environment, user_id))


def query_of(url: str) -> dict[str, str]:
    """Return the parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@dataclass(slots=True)
class Browser:
    """Walks through connections, one address at a time."""

    http: httpx.Client
    functions: str
    answers: list[httpx.Response] = field(default_factory=list)

    def start(self, member: Member, **query: str) -> httpx.Response:
        """Begin, as the dashboard does."""
        return self.get("/start", {"agency_id": member.agency_id, **query}, member.headers)

    def get(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Ask the function."""
        url = f"{self.functions}/fanvue-connect{path}"
        return self._keep(self.http.get(url, params=dict(query), headers=dict(headers or {})))

    def consent(self, asked: httpx.Response, creator: str, **changes: str) -> str:
        """Agree at Fanvue as this creator; return the address Fanvue sends the browser to."""
        assert asked.status_code == 302, asked.text
        return self.consent_at(asked.headers["location"], creator, **changes)

    def consent_at(self, address: str, creator: str, **changes: str) -> str:
        """Agree at an address of Fanvue, whoever sent it."""
        parts = urlsplit(address)
        query = {**query_of(address), "login_hint": creator, **changes}
        answer = self.http.get(f"{parts.scheme}://{parts.netloc}{parts.path}", params=query)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def follow(self, url: str) -> httpx.Response:
        """Go to the callback's address."""
        return self._keep(self.http.get(url))

    def confirm(self, back: httpx.Response, member: Member | None = None) -> httpx.Response:
        """Say yes to what the browser came back with, as the dashboard's form does."""
        nonce = query_of(back.headers["location"])["confirm"]
        form = {"nonce": nonce, "access_token": "" if member is None else member.token}
        return self._keep(self.http.post(f"{self.functions}/fanvue-connect/confirm", data=form))

    def connect(
        self, member: Member, creator: str, changes: Mapping[str, str] | None = None, **query: str
    ) -> httpx.Response:
        """Walk the whole way; return where it ends."""
        asked = self.start(member, **query)
        back = self.follow(self.consent(asked, creator, **dict(changes or {})))
        return self.confirm(back, member) if back.status_code == 302 else back

    def _keep(self, answer: httpx.Response) -> httpx.Response:
        self.answers.append(answer)
        return answer


def open_browser(functions: str) -> Iterator[Browser]:
    """Open a browser that follows no redirect by itself."""
    with httpx.Client(timeout=PATIENCE_SECONDS, follow_redirects=False) as http:
        yield Browser(http, functions)
