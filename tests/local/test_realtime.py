from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    import httpx

    from local.stack import Stack

pytestmark = pytest.mark.system
UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": base64.b64encode(b"0123456789abcdef").decode(),
}
SOCKET = "/realtime/v1/websocket"


def refuse(http: httpx.Client, path: str) -> tuple[int, str]:
    answer = http.get(path, headers=UPGRADE)
    return answer.status_code, answer.json()["error"]


def test_realtime_is_served_behind_the_one_origin(http: httpx.Client) -> None:
    assert "/realtime/v1" in http.get("/").json()["paths"]
    assert refuse(http, "/realtime/v1/elsewhere") == (404, "Not found")


def test_a_connection_without_a_valid_key_is_refused(
    http: httpx.Client, env: dict[str, str]
) -> None:
    assert refuse(http, SOCKET) == (401, "API key is missing")
    assert refuse(http, f"{SOCKET}?apikey=x") == (401, "The token provided is not a valid JWT")
    assert refuse(http, f"{SOCKET}?apikey={env['SUPABASE_SECRET_KEY']}&vsn=3.0.0")[0] == 400
    assert refuse(http, "/elsewhere")[0] == 404


def test_the_rest_of_the_stack_lives_on_without_realtime(
    stack: Stack, http: httpx.Client, as_service: dict[str, str]
) -> None:
    stack.stop_realtime()
    try:
        socket = refuse(http, SOCKET)
        rest = http.get("/rest/v1/notes", headers=as_service)
        running = stack.running()
    finally:
        stack.start_realtime()

    assert socket[0] == 503
    assert rest.status_code == 200
    assert running["realtime"] is None
    assert running["gateway"] is not None
