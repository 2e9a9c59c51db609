"""Answers before they are bytes, and the error bodies Fanvue uses.

There is no single error envelope: each status has its own shape, made only here.
"""

# ruff: noqa: N818 - each error is named after what the answer says

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response


NO_CONTENT = 204


@dataclass(slots=True)
class Reply:
    """A status, a JSON body and extra headers."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """Ends a call with an error answer."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


class Invalid(ApiError):
    """A parameter was refused (400)."""

    def __init__(self, *errors: str) -> None:
        super().__init__(400, {"errors": list(errors)})


class InvalidUuid(ApiError):
    """A path parameter is not a UUID (400)."""

    def __init__(self, name: str) -> None:
        super().__init__(400, {"message": f"{name} is not a valid UUID"})


class Unauthorized(ApiError):
    """The token is missing, unknown, expired or revoked (401)."""

    def __init__(self) -> None:
        super().__init__(401, {"error": "Unauthorized"})


class Forbidden(ApiError):
    """A scope or a role is missing (403)."""

    def __init__(self) -> None:
        super().__init__(403, {"error": "Forbidden"})


class NotFound(ApiError):
    """The thing does not exist or is not visible (404)."""

    def __init__(self, message: str = "Not found") -> None:
        super().__init__(404, {"message": message})


class TooMany(ApiError):
    """The bucket is empty (429)."""

    def __init__(self) -> None:
        super().__init__(429, {"error": "Too many requests"})


def sunset(version: str, when: str, next_version: str) -> ApiError:
    """Return the error of a retired version (410)."""
    return ApiError(
        410,
        {
            "error": "API version no longer supported",
            "message": f"API version '{version}' was sunset on {when}",
            "nextVersion": next_version,
        },
    )


def unsupported_version(version: str) -> ApiError:
    """Return the error of a missing or unknown version (400)."""
    message = f"API version '{version}' is not supported" if version else "API version is missing"
    return ApiError(400, {"error": "Unsupported API version", "message": message})


STANDARD_BODIES: dict[int, dict[str, Any]] = {
    401: Unauthorized().body,
    403: Forbidden().body,
    404: NotFound("Creator not found").body,
    410: sunset("2025-06-26", "2026-11-01T00:00:00.000Z", "2026-11-01").body,
    429: TooMany().body,
    500: {"error": "Internal server error"},
    502: {"error": "Bad gateway"},
    503: {"error": "Service unavailable"},
    504: {"error": "Gateway timeout"},
}


def encode(body: Any, errors: str = "strict") -> bytes:
    """Render JSON compactly, as the wire has it."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(errors=errors)


def to_response(reply: Reply) -> Response:
    """Turn an answer into an HTTP response."""
    if reply.status == NO_CONTENT:
        return Response(status_code=reply.status, headers=reply.headers)
    return Response(
        # Half a pair of surrogates goes out as from a careless server: as bytes of its own.
        encode(reply.body, "surrogatepass"),
        status_code=reply.status,
        headers=reply.headers,
        media_type="application/json",
    )
