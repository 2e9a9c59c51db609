"""docs/fanvue-app.md asks for what the code asks for, no more and no less."""

from __future__ import annotations

import re

from tests.docs.markdown import table
from tests.support.postgres import MIGRATIONS, PROJECT


PAGE = PROJECT / "docs" / "fanvue-app.md"
CONNECT = PROJECT / "supabase" / "functions" / "fanvue-connect"


def source(name: str) -> str:
    return (CONNECT / name).read_text("utf-8")


def test_the_scopes_to_tick_are_those_that_are_asked_for() -> None:
    settings = source("settings.ts")
    (usual,) = re.findall(r"USUAL_SCOPES =((?:\s*\+?\s*\"[^\"]*\")+);", settings)
    (agency,) = re.findall(r'AGENCY_SCOPE = "([^"]*)"', settings)
    asked = [*"".join(re.findall(r'"([^"]*)"', usual)).split(), agency]

    assert table(PAGE, "scope") == asked


def test_the_events_to_choose_are_those_that_the_engine_understands() -> None:
    (reader,) = MIGRATIONS.glob("*_create_webhook_reader.sql")
    kinds = reader.read_text("utf-8").partition("f.topic := p ->> 'type';")[2]
    understood = set(re.findall(r"'((?:creator|checkout_link|app)\.[a-z_.]+)'", kinds))

    events = table(PAGE, "event")

    assert len(events) == len(set(events))
    assert set(events) == understood


def test_every_page_that_people_meet_is_explained() -> None:
    titles = re.findall(r'title: "([^"]+)"', source("pages.ts"))

    assert sorted(table(PAGE, "page")) == sorted(titles)


def test_the_addresses_are_those_of_the_functions() -> None:
    text = PAGE.read_text("utf-8")

    for address in re.findall(r"/functions/v1/([\w/-]+)", text):
        function, _, path = address.partition("/")
        assert (PROJECT / "supabase" / "functions" / function / "index.ts").exists()
        assert not path or f"{path}:" in source("handler.ts")
