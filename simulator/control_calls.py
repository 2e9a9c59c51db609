"""How a client calls the control API: plain HTTP to /_sim, failures as exceptions."""

from __future__ import annotations

import ssl
from typing import Any, Self

import httpx


# A simulator on a busy machine, asked for a whole world, takes its time; this catches a hang.
TIMEOUT_SECONDS = 300.0


def open_http() -> httpx.Client:
    """Open a client for plain HTTP on this machine: it trusts nobody, so it reads no list."""
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.Client(verify=nobody, timeout=TIMEOUT_SECONDS, trust_env=False)


class ControlCalls:
    """Calls to the control API of one simulator."""

    def __init__(self, url: str, http: httpx.Client | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = http or open_http()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: dict[str, Any] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> dict[str, Any]:
        params = {name: value for name, value in (query or {}).items() if value is not None}
        response = self._http.request(
            method, f"{self.url}/_sim/{path}", json=body, params=params, timeout=timeout
        )
        if response.is_error:
            raise RuntimeError(f"{method} /_sim/{path}: {response.status_code} {response.text}")
        answer: dict[str, Any] = response.json()
        return answer
