"""The shared signature vectors agree with Fanvue's scheme as the standard library computes it."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest


VECTORS = json.loads(
    (Path(__file__).parent / "vectors" / "webhook_signatures.json").read_text("utf-8")
)


def digests_of(case: dict[str, Any]) -> set[str]:
    timestamp = next(
        (
            value.strip()
            for name, _, value in (part.partition("=") for part in case["header"].split(","))
            if name.strip() == "t"
        ),
        "",
    )
    message = f"{timestamp}.{case['body']}".encode()
    return {
        hmac.new(secret.encode(), message, hashlib.sha256).hexdigest() for secret in case["secrets"]
    }


@pytest.mark.parametrize(
    "case",
    [case for case in VECTORS["cases"] if case["accepted"]],
    ids=lambda case: case["name"].replace(" ", "_"),
)
def test_an_accepted_delivery_carries_the_digest_of_one_of_its_secrets(
    case: dict[str, Any],
) -> None:
    assert any(digest in case["header"].lower() for digest in digests_of(case))


def test_the_vectors_hold_both_edges_of_the_tolerance() -> None:
    tolerance = VECTORS["tolerance_seconds"]
    ages = {
        (case["now"] - int(case["header"].split(",")[0].removeprefix("t=")), case["accepted"])
        for case in VECTORS["cases"]
        if "five minutes" in case["name"]
    }

    assert ages == {
        (tolerance, True),
        (-tolerance, True),
        (tolerance + 1, False),
        (-tolerance - 1, False),
    }
