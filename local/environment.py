"""The values clients need to use an instance, and the secrets made once for it.

Secrets are random per instance and kept across restarts; addresses follow the ports. The file
is readable by its owner only.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from local.errors import StackError
from local.ports import HOST, Ports
from local.postgres import database_url
from local.programs import PROJECT


if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.instance import Instance


# Newer versions of Node keep what they compiled, and start in half the time.
NODE_ENVIRONMENT = {
    "NODE_ENV": "production",
    "NODE_COMPILE_CACHE": str(PROJECT / ".local" / "node-cache"),
}
DEFAULT_FANVUE_URL = "http://127.0.0.1:54400"
# As site_url in supabase/config.toml: where people confirm what Fanvue granted.
DEFAULT_DASHBOARD_URL = "http://127.0.0.1:3000"
_RANDOM_BYTES = 24
_SIGNING = ("SUPABASE_JWT_SECRET", "SUPABASE_SIGNING_KEY")


def read_env_file(path: Path) -> dict[str, str]:
    """Read KEY=value lines; blank lines and comments are passed over."""
    if not path.exists():
        return {}
    pairs = (
        line.partition("=")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "=" in line and not line.lstrip().startswith("#")
    )
    return {key.strip(): value.strip() for key, _, value in pairs}


def build_environment(
    instance: Instance, ports: Ports, fanvue_url: str | None, dashboard_url: str | None = None
) -> dict[str, str]:
    """Return all values of an instance: kept secrets, new ones where missing, addresses."""
    known = read_env_file(instance.env_file)
    kept = {name: known.get(name) or value for name, value in _new_secrets().items()}
    secret_key = kept.pop("SUPABASE_SECRET_KEY")
    fanvue = fanvue_url or known.get("FANVUE_API_URL") or DEFAULT_FANVUE_URL
    dashboard = dashboard_url or known.get("DASHBOARD_URL") or DEFAULT_DASHBOARD_URL
    return {
        "SUPABASE_URL": f"http://{HOST}:{ports.gateway}",
        "SUPABASE_SECRET_KEY": secret_key,
        "SUPABASE_SERVICE_ROLE_KEY": secret_key,
        "SUPABASE_DB_URL": database_url(ports.postgres),
        "UPSTASH_REDIS_REST_URL": f"http://{HOST}:{ports.upstash}",
        "FANVUE_API_URL": fanvue,
        "FANVUE_AUTH_URL": fanvue,
        "DASHBOARD_URL": dashboard,
        **kept,
    }


def write_environment(instance: Instance, values: dict[str, str]) -> Path:
    """Write the values where clients look for them."""
    lines = "".join(f"{key}={values[key]}\n" for key in sorted(values))
    return instance.write_private("stack.env", lines)


def function_environment(values: dict[str, str]) -> dict[str, str]:
    """Return what an Edge Function is given, under the hosted names as well: no key that signs."""
    given = {name: value for name, value in values.items() if name not in _SIGNING}
    return given | {"SUPABASE_ANON_KEY": values["SUPABASE_PUBLISHABLE_KEY"]}


def published_key(values: Mapping[str, str]) -> dict[str, str]:
    """Return the public half of the key that signs users' tokens, as a JWK."""
    key = load_der_private_key(base64.b64decode(values["SUPABASE_SIGNING_KEY"]), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StackError("SUPABASE_SIGNING_KEY is no key for ES256")
    point = key.public_key().public_numbers()
    x, y = (_base64url(number.to_bytes(32, "big")) for number in (point.x, point.y))
    # Two keys never share a name; one keeps its own.
    name = hashlib.sha256(f"{x}.{y}".encode()).hexdigest()[:16]
    kind = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig"}
    return {**kind, "kid": name, "x": x, "y": y}


def verifying_keys(values: dict[str, str]) -> dict[str, Any]:
    """Return what tokens may be signed with, the shared secret included, as a JWK set."""
    shared = _base64url(values["SUPABASE_JWT_SECRET"].encode())
    return {"keys": [published_key(values), {"kty": "oct", "alg": "HS256", "k": shared}]}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _new_signing_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(der).decode()


def _new_secrets() -> dict[str, str]:
    return {
        "SUPABASE_SECRET_KEY": f"sb_secret_{secrets.token_urlsafe(_RANDOM_BYTES)}",
        "SUPABASE_PUBLISHABLE_KEY": f"sb_publishable_{secrets.token_urlsafe(_RANDOM_BYTES)}",
        "SUPABASE_JWT_SECRET": secrets.token_urlsafe(2 * _RANDOM_BYTES),
        "SUPABASE_SIGNING_KEY": _new_signing_key(),
        "UPSTASH_REDIS_REST_TOKEN": secrets.token_urlsafe(_RANDOM_BYTES),
        "FANVUE_WEBHOOK_SECRETS": f"whsec_{secrets.token_urlsafe(_RANDOM_BYTES)}",
        "FANVUE_CLIENT_ID": "local-client",
        "FANVUE_CLIENT_SECRET": secrets.token_urlsafe(_RANDOM_BYTES),
        "TOKEN_ENCRYPTION_KEYS": "local-1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
    }
