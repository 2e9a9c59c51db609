from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from local.errors import StackError
from local.processes import wait_until
from local.project import read_project
from tests.local.scratch import SECONDS


if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from local.stack import Stack

pytestmark = pytest.mark.system


def test_a_function_serves_with_a_users_token(
    http: httpx.Client, env: dict[str, str], as_user: dict[str, str]
) -> None:
    answer = http.post("/functions/v1/greet/deep/path", content="hello", headers=as_user)

    assert answer.status_code == 200
    assert answer.json()["path"] == "/greet/deep/path"
    assert answer.json()["body"] == "hello"
    assert answer.json()["url"] == env["SUPABASE_URL"]


def test_a_function_checks_its_callers_itself(http: httpx.Client) -> None:
    assert http.get("/functions/v1/fragile").status_code == 200


def test_a_function_that_leaves_the_check_to_the_gateway_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[functions.greet]\nimport_map = 'x'\n", encoding="utf-8")

    with pytest.raises(StackError, match="verify_jwt = false for function greet"):
        read_project(file)


def test_a_crashed_function_is_back_at_the_next_request(http: httpx.Client) -> None:
    before = http.get("/functions/v1/fragile").json()["born"]
    crash = http.get("/functions/v1/fragile/crash")
    after = http.get("/functions/v1/fragile")

    assert crash.status_code == 502
    assert after.status_code == 200
    assert after.json()["born"] != before


def test_callers_at_the_same_time_share_one_process(http: httpx.Client) -> None:
    http.get("/functions/v1/fragile/crash")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: http.get("/functions/v1/fragile"), range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["born"] for answer in answers}) == 1


def test_a_function_that_does_not_start_is_unavailable_and_logged(
    http: httpx.Client, stack: Stack
) -> None:
    answer = http.get("/functions/v1/broken")

    assert answer.status_code == 503
    log = stack.instance.processes.log("function-broken").read_text(encoding="utf-8")
    assert "this function never starts" in log


@pytest.mark.parametrize("name", ["unknown", "_shared", "..%2Fgreet"])
def test_what_is_no_function_is_not_found(http: httpx.Client, name: str) -> None:
    assert http.get(f"/functions/v1/{name}").status_code == 404


def test_functions_get_the_settings_of_the_instance(
    http: httpx.Client, stack: Stack, as_user: dict[str, str]
) -> None:
    stack.instance.functions_env_file.write_text("EXTRA_SETTING='set'\n", encoding="utf-8")

    stack.restart_gateway()

    answer = http.post("/functions/v1/greet", headers=as_user)

    assert answer.json()["extra"] == "set"


def test_a_changed_file_is_served_without_a_restart(http: httpx.Client, project: Path) -> None:
    source = project / "functions" / "fragile" / "index.ts"
    assert http.get("/functions/v1/fragile").status_code == 200
    text = source.read_text(encoding="utf-8")

    source.write_text(text.replace("{ born }", '{ born, edited: "yes" }'), encoding="utf-8")

    assert wait_until(lambda: "edited" in http.get("/functions/v1/fragile").text, SECONDS)
