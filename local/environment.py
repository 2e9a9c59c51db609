"""The values clients need to use an instance, and the secrets made once for it.

Secrets are random per instance and kept across restarts; addresses follow the ports. The file
is readable by its owner only.
"""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

from local.ports import HOST, Ports
from local.postgres import DATABASE, PASSWORD, SUPERUSER
from local.programs import PROJECT


if TYPE_CHECKING:
    from pathlib import Path

    from local.instance import Instance


# Newer versions of Node keep what they compiled, and start in half the time.
NODE_ENVIRONMENT = {
    "NODE_ENV": "production",
    "NODE_COMPILE_CACHE": str(PROJECT / ".local" / "node-cache"),
}
DEFAULT_FANVUE_URL = "http://127.0.0.1:54400"
_RANDOM_BYTES = 24


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
    dashboard = dashboard_url or known.get("DASHBOARD_URL")
    return {
        "SUPABASE_URL": f"http://{HOST}:{ports.gateway}",
        "SUPABASE_SECRET_KEY": secret_key,
        "SUPABASE_SERVICE_ROLE_KEY": secret_key,
        "SUPABASE_DB_URL": f"postgresql://{SUPERUSER}:{PASSWORD}@{HOST}:{ports.postgres}/{DATABASE}",
        "UPSTASH_REDIS_REST_URL": f"http://{HOST}:{ports.upstash}",
        "FANVUE_API_URL": fanvue,
        "FANVUE_AUTH_URL": fanvue,
        **({"DASHBOARD_URL": dashboard} if dashboard else {}),
        **kept,
    }


def write_environment(instance: Instance, values: dict[str, str]) -> Path:
    """Write the values where clients look for them."""
    lines = "".join(f"{key}={values[key]}\n" for key in sorted(values))
    return instance.write_private("stack.env", lines)


def function_environment(values: dict[str, str]) -> dict[str, str]:
    """Return what an Edge Function is given: everything, under the hosted names as well."""
    return values | {"SUPABASE_ANON_KEY": values["SUPABASE_PUBLISHABLE_KEY"]}


def _new_secrets() -> dict[str, str]:
    return {
        "SUPABASE_SECRET_KEY": f"sb_secret_{secrets.token_urlsafe(_RANDOM_BYTES)}",
        "SUPABASE_PUBLISHABLE_KEY": f"sb_publishable_{secrets.token_urlsafe(_RANDOM_BYTES)}",
        "SUPABASE_JWT_SECRET": secrets.token_urlsafe(2 * _RANDOM_BYTES),
        "UPSTASH_REDIS_REST_TOKEN": secrets.token_urlsafe(_RANDOM_BYTES),
        "FANVUE_WEBHOOK_SECRETS": f"whsec_{secrets.token_urlsafe(_RANDOM_BYTES)}",
        "FANVUE_CLIENT_ID": "local-client",
        "FANVUE_CLIENT_SECRET": secrets.token_urlsafe(_RANDOM_BYTES),
        "TOKEN_ENCRYPTION_KEYS": "local-1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
    }
