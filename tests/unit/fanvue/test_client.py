"""The client pays for every request, retries what may pass, and names what may not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import structlog

from tests.support.clock import NOON
from tests.support.fanvue_stub import ACCESS, bench, json_answer
from worker.errors import (
    CursorExpired,
    DatabaseUnavailable,
    Gone,
    Misconfigured,
    NotFound,
    ProviderContract,
    ScopeMissing,
    SyncError,
    Throttled,
    Transient,
    Unauthorized,
)
from worker.fanvue.calls import Access, Family, RequestMeter, Validator
from worker.fanvue.paths import endpoint_of
from worker.settings import ApiFamily
from worker.traffic import Lane


UUID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
PATH = "/insights/earnings"
PAGE: dict[str, Any] = {"data": [], "nextCursor": None}
RATE = {
    "x-ratelimit-limit": "200",
    "x-ratelimit-remaining": "187",
    "x-ratelimit-reset": str(int(NOON.timestamp()) + 30),
    "date": "Sun, 22 Nov 2026 12:00:00 GMT",
}


async def test_a_read_carries_token_version_and_exact_parameters() -> None:
    b = bench(json_answer(PAGE, headers=RATE))

    reply = await b.client.get(
        PATH, {"startDate": NOON, "size": 50, "cursor": None, "source": "all"}, auth=ACCESS
    )

    request = b.fanvue.requests[0]
    assert request.headers["authorization"] == "Bearer made-up-access-token"
    assert request.headers["x-fanvue-api-version"] == "2025-06-26"
    assert dict(request.url.params) == {
        "startDate": "2026-11-22T12:00:00.000Z",
        "size": "50",
        "source": "all",
    }
    assert (reply.status, reply.body, reply.date) == (200, PAGE, NOON)
    assert reply.family is Family.V1


async def test_a_write_is_sent_once_and_an_empty_answer_is_one() -> None:
    b = bench(httpx.Response(204))

    reply = await b.client.send("DELETE", "/webhooks/subscriptions/1", auth=ACCESS)

    assert (reply.status, reply.body) == (204, None)
    assert [request.method for request in b.fanvue.requests] == ["DELETE"]


async def test_a_write_is_never_repeated_by_itself() -> None:
    b = bench(json_answer({}, status=502), json_answer({"id": "1"}))

    with pytest.raises(Transient):
        await b.client.send("POST", "/webhooks/subscriptions", {"url": "x"}, auth=ACCESS)

    (request,) = b.fanvue.requests
    assert request.content == b'{"url":"x"}'


async def test_a_write_falls_back_to_the_other_family_where_the_path_is_missing() -> None:
    b = bench(json_answer({"message": "Not found"}, status=404), json_answer({"id": "1"}))

    await b.client.send("POST", "/webhooks/subscriptions", {}, auth=ACCESS)

    assert [request.url.path for request in b.fanvue.requests] == [
        "/v1/webhooks/subscriptions",
        "/webhooks/subscriptions",
    ]


async def test_every_response_teaches_the_budget() -> None:
    b = bench(json_answer(PAGE, headers=RATE))

    reply = await b.client.get(PATH, auth=ACCESS)

    assert b.budget.seen == [("app:creator", reply.rate)]
    assert reply.rate is not None
    assert reply.rate.reset_at == NOON + timedelta(seconds=30)


async def test_numbers_are_exact_and_texts_can_be_stored() -> None:
    body = b'{"a": 0.1, "b": 2500.0, "c": "x\\u0000\\ud800y", "d": "\\ud83d\\ude00"}'
    b = bench(httpx.Response(200, content=body))

    reply = await b.client.get(PATH, auth=ACCESS)

    assert reply.body == {
        "a": Decimal("0.1"),
        "b": Decimal("2500.0"),
        "c": "x\ufffd\ufffdy",
        "d": "\U0001f600",
    }


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        httpx.Response(500, text="oops"),
        httpx.Response(502, html="<html>bad gateway</html>"),
        httpx.Response(200, html="<html>hello</html>"),
        httpx.Response(200, content=b'{"data": [{"gross": 1'),
        httpx.Response(200, content=b'{"gross": NaN}'),
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b"[" * 100_000),
    ],
    ids=lambda failure: type(failure).__name__ + str(getattr(failure, "status_code", "")),
)
async def test_what_may_pass_is_tried_again_and_paid_for_each_time(
    failure: httpx.Response | Exception,
) -> None:
    b = bench(failure, json_answer(PAGE))
    meter = RequestMeter()

    reply = await b.client.get(PATH, auth=ACCESS, meter=meter)

    assert reply.body == PAGE
    assert (meter.requests, meter.retries, len(b.budget.acquired)) == (2, 1, 2)
    assert len(b.clock.slept) == 1


async def test_after_three_failures_the_caller_decides() -> None:
    b = bench(*(httpx.Response(503, text="down") for _ in range(3)))

    with pytest.raises(Transient) as caught:
        await b.client.get(PATH, auth=ACCESS)

    assert len(b.fanvue.requests) == 3
    assert not isinstance(caught.value, Throttled)


async def test_backoff_uses_the_whole_range_up_to_its_bound() -> None:
    b = bench(*(httpx.Response(503) for _ in range(3)))

    with pytest.raises(Transient):
        await b.client.get(PATH, auth=ACCESS)

    first, second = b.clock.slept
    assert timedelta(0) <= first <= timedelta(milliseconds=500)
    assert timedelta(0) <= second <= timedelta(seconds=1)


async def test_a_long_pause_is_left_to_the_queue() -> None:
    b = bench(httpx.Response(503, headers={"retry-after": "120"}))

    with pytest.raises(Transient) as caught:
        await b.client.get(PATH, auth=ACCESS)

    assert caught.value.retry_after == timedelta(seconds=120)
    assert b.clock.slept == []


async def test_a_429_is_never_repeated_and_closes_the_endpoint() -> None:
    b = bench(
        json_answer({"error": "Too many requests"}, 429, headers={"retry-after": "23", **RATE})
    )
    meter = RequestMeter()

    with pytest.raises(Throttled) as caught:
        await b.client.get(PATH, auth=ACCESS, meter=meter)

    assert caught.value.until == NOON + timedelta(seconds=23)
    assert b.budget.penalties == [("app:creator", caught.value.until)]
    assert set(b.budget.endpoints) == {PATH}
    assert (meter.requests, meter.throttled) == (1, 1)


async def test_a_429_without_retry_after_waits_for_the_reset_or_a_window() -> None:
    told = bench(json_answer({}, 429, headers=RATE))
    untold = bench(httpx.Response(429, html="<html>slow down</html>"))

    with pytest.raises(Throttled) as by_reset:
        await told.client.get(PATH, auth=ACCESS)
    with pytest.raises(Throttled) as by_window:
        await untold.client.get(PATH, auth=ACCESS)

    assert by_reset.value.until == NOON + timedelta(seconds=30)
    assert by_window.value.until == NOON + timedelta(seconds=60)


async def test_an_empty_budget_sends_nothing() -> None:
    b = bench()
    b.budget.refusal = Throttled("empty", until=NOON + timedelta(seconds=9))
    meter = RequestMeter()

    with pytest.raises(Throttled):
        await b.client.get(PATH, auth=ACCESS, meter=meter)

    assert b.fanvue.requests == []
    assert (meter.requests, meter.throttled) == (0, 1)


async def test_an_unreachable_budget_is_not_retried_against_fanvue() -> None:
    b = bench()
    b.budget.refusal = DatabaseUnavailable("no answer")

    with pytest.raises(DatabaseUnavailable):
        await b.client.get(PATH, auth=ACCESS)

    assert b.clock.slept == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (json_answer({"error": "Unauthorized"}, 401), Unauthorized),
        (json_answer({"error": "Forbidden"}, 403), ScopeMissing),
        (json_answer({"errors": ["size must not be greater than 50"]}, 400), ProviderContract),
        (json_answer({"message": "userUuid is not a valid UUID"}, 400), ProviderContract),
        (
            json_answer({"error": "Unsupported API version", "message": "API version 'x'"}, 400),
            Misconfigured,
        ),
        (
            json_answer({"error": "x"}, 302, headers={"location": "https://elsewhere.test"}),
            ProviderContract,
        ),
        (json_answer({"error": "x"}, 418), ProviderContract),
    ],
)
async def test_each_refusal_has_its_error(
    answer: httpx.Response, expected: type[SyncError]
) -> None:
    b = bench(answer)

    with pytest.raises(expected) as caught:
        await b.client.get(PATH, auth=ACCESS)

    assert type(caught.value) is expected
    assert len(b.fanvue.requests) == 1


async def test_a_403_from_something_in_front_of_fanvue_blames_no_scope() -> None:
    b = bench(httpx.Response(403, html="<html>blocked</html>"))

    with pytest.raises(Transient) as caught:
        await b.client.get(PATH, auth=ACCESS)

    assert caught.value.retry_after == timedelta(minutes=1)


async def test_an_expired_cursor_is_told_apart_from_a_bad_request() -> None:
    body = {"errors": ["cursor is invalid or has expired"]}
    with_cursor = bench(json_answer(body, 400))
    without = bench(json_answer(body, 400))

    with pytest.raises(CursorExpired):
        await with_cursor.client.get(PATH, {"cursor": "abc"}, auth=ACCESS)
    with pytest.raises(ProviderContract):
        await without.client.get(PATH, auth=ACCESS)


async def test_an_empty_400_is_forgiven_once() -> None:
    forgiven = bench(json_answer({"error": ""}, 400), json_answer(PAGE))
    repeated = bench(json_answer({"error": ""}, 400), json_answer({"error": ""}, 400))

    assert (await forgiven.client.get(PATH, auth=ACCESS)).body == PAGE
    with pytest.raises(ProviderContract, match="twice"):
        await repeated.client.get(PATH, auth=ACCESS)


@pytest.mark.parametrize("status", [404, 410])
async def test_a_path_missing_in_v1_is_read_unversioned_and_remembered_for_a_day(
    status: int,
) -> None:
    missing = json_answer({"message": "Cannot GET"}, status)
    b = bench(missing, json_answer(PAGE), json_answer(PAGE), json_answer(PAGE))

    first = await b.client.get(PATH, auth=ACCESS)
    await b.client.get(PATH, auth=ACCESS)
    b.clock.jump(timedelta(days=1))
    probed = await b.client.get(PATH, auth=ACCESS)

    assert b.fanvue.paths == [f"/v1{PATH}", PATH, PATH, f"/v1{PATH}"]
    assert first.family is Family.UNVERSIONED
    assert probed.family is Family.V1
    assert len(b.budget.acquired) == 4


async def test_the_family_is_remembered_per_endpoint_not_per_creator() -> None:
    one = "/creators/7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01/insights/earnings"
    two = "/creators/b2d90c11-3f58-4b57-9d0e-0c2a5a6e1101/insights/earnings"
    b = bench(json_answer({}, 404), json_answer(PAGE), json_answer(PAGE), json_answer(PAGE))

    await b.client.get(one, auth=ACCESS)
    await b.client.get(two, auth=ACCESS)
    await b.client.get(PATH, auth=ACCESS)

    assert b.fanvue.paths == [f"/v1{one}", one, two, f"/v1{PATH}"]


async def test_missing_in_both_families_is_not_found_and_not_remembered() -> None:
    b = bench(*(json_answer({"message": "Creator not found"}, 404) for _ in range(2)))

    with pytest.raises(NotFound, match="Creator not found"):
        await b.client.get(PATH, auth=ACCESS)

    b.fanvue.answers.append(json_answer(PAGE))
    await b.client.get(PATH, auth=ACCESS)
    assert b.fanvue.paths[-1] == f"/v1{PATH}"


async def test_retired_in_one_family_and_unknown_to_the_other_is_gone() -> None:
    b = bench(json_answer({"error": "gone"}, 410), json_answer({"message": "?"}, 404))

    with pytest.raises(Gone):
        await b.client.get(PATH, auth=ACCESS)


async def test_a_retired_api_version_is_a_setting_to_change() -> None:
    sunset = {"error": "API version no longer supported", "nextVersion": "2027-01-01"}
    b = bench(json_answer(sunset, 410), json_answer(sunset, 410))

    with pytest.raises(Misconfigured) as caught:
        await b.client.get(PATH, auth=ACCESS)

    assert "2027-01-01" in caught.value.remedy


@pytest.mark.parametrize(
    ("family", "path"),
    [(ApiFamily.V1, f"/v1{PATH}"), (ApiFamily.UNVERSIONED, PATH)],
)
async def test_a_forced_family_never_falls_back(family: ApiFamily, path: str) -> None:
    b = bench(json_answer({}, 404), family=family)

    with pytest.raises(NotFound):
        await b.client.get(PATH, auth=ACCESS)

    assert b.fanvue.paths == [path]


async def test_an_offered_validator_is_sent_and_304_is_an_answer() -> None:
    b = bench(
        json_answer(PAGE, headers={"etag": '"abc"'}), httpx.Response(304, headers={"etag": '"abc"'})
    )

    first = await b.client.get(PATH, auth=ACCESS)
    again = await b.client.get(PATH, auth=ACCESS, validator=first.validator)

    assert first.validator == Validator(etag='"abc"')
    assert "if-none-match" not in b.fanvue.requests[0].headers
    assert b.fanvue.requests[1].headers["if-none-match"] == '"abc"'
    assert again.not_modified
    assert again.body is None


async def test_an_announced_deprecation_is_logged_once_for_an_endpoint() -> None:
    notice = {"sunset": "Sat, 01 May 2027 00:00:00 GMT", "x-fanvue-api-next-version": "2027-01-01"}
    b = bench(*(json_answer(PAGE, headers=notice) for _ in range(2)))

    with structlog.testing.capture_logs() as logged:
        await b.client.get(PATH, auth=ACCESS)
        await b.client.get(PATH, auth=ACCESS)

    assert [event["event"] for event in logged] == ["api_deprecation_announced"]
    assert logged[0]["next_version"] == "2027-01-01"


async def test_a_token_that_cannot_be_sent_is_refused_here() -> None:
    b = bench()

    with pytest.raises(Unauthorized):
        await b.client.get(PATH, auth=Access("made\nup", "bucket", Lane.LOW))

    assert b.fanvue.requests == []


async def test_errors_and_values_never_show_the_token() -> None:
    b = bench(json_answer({"error": "bad Bearer made-up-access-token"}, 401))

    with pytest.raises(Unauthorized) as caught:
        await b.client.get(PATH, auth=ACCESS)

    assert "made-up-access-token" not in f"{caught.value!r}{ACCESS!r}"


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/insights/earnings", "/insights/earnings"),
        ("/creators", "/creators"),
        (f"/creators/{UUID}/insights/earnings", "/insights/earnings"),
        (f"/creators/{UUID}/account", "/users/account"),
        (f"/creators/{UUID}/chats/{UUID}/messages", "/chats/{uuid}/messages"),
        (f"/chats/{UUID}/messages", "/chats/{uuid}/messages"),
    ],
)
def test_an_endpoint_has_one_name_for_creators_and_agencies(path: str, endpoint: str) -> None:
    assert endpoint_of(path) == endpoint
