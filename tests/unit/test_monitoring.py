"""The rules and the dashboard speak of metrics that exist, parse, and were tried out."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from worker.metrics import Metric


if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
RULE_TESTS = ROOT / "deploy" / "prometheus" / "alerts_test.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "fanvue-sync.json"

SERIES = {metric.value.name: metric.value for metric in Metric}
# What Prometheus itself adds, and what its client library tells of every process.
FOREIGN = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
FOREIGN_LABELS = {"job", "instance", "le"}
NAME = re.compile(r"\b(?:fanvue_sync_\w+|process_\w+)")
SELECTOR = re.compile(r"\b(fanvue_sync_\w+|process_\w+|up)\{([^}]*)\}")
RULE = re.compile(r"- alert: (\w+)\n(.*?)(?=\n      - alert: |\Z)", re.DOTALL)
EXPRESSION = re.compile(r"expr: (?:\|\n((?: {10,}.*\n)+)|(.*)\n)")
CASE = re.compile(r"alertname: (\w+)\n.*?exp_alerts:( \[\])?", re.DOTALL)


def rules() -> dict[str, str]:
    return dict(RULE.findall(RULES.read_text("utf-8")))


def rule_expressions() -> dict[str, str]:
    found = {name: EXPRESSION.search(body + "\n") for name, body in rules().items()}
    return {name: (match[1] or match[2]) if match else "" for name, match in found.items()}


def dashboard() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return parsed


def panels() -> Iterator[dict[str, Any]]:
    yield from (panel for panel in dashboard()["panels"] if panel["type"] != "row")


def panel_expressions() -> list[str]:
    variables = [
        one["definition"]
        for one in dashboard()["templating"]["list"]
        if "query" in one and "definition" in one
    ]
    return [target["expr"] for panel in panels() for target in panel["targets"]] + variables


def series_of(name: str) -> str:
    """Return the metric that a sample's name belongs to."""
    whole = re.sub(r"_(bucket|sum|count)$", "", name)
    return whole if whole in SERIES and SERIES[whole].kind == "histogram" else name


def everything() -> list[str]:
    return [*rule_expressions().values(), *panel_expressions()]


def promtool(*words: str | Path) -> str:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)  # noqa: S607 - set-up installs it
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_are_rules_and_panels_to_check() -> None:
    assert len(rules()) > 10
    assert all(rule_expressions().values())
    assert len(list(panels())) > 20


def test_every_metric_that_they_name_exists() -> None:
    named = {series_of(name) for text in everything() for name in NAME.findall(text)}

    assert named - set(SERIES) - FOREIGN == set()


def test_every_label_that_they_select_by_exists_with_its_words() -> None:
    for text in everything():
        for name, selectors in SELECTOR.findall(text):
            known = {
                label.name: label.words
                for label in (SERIES[series_of(name)].labels if series_of(name) in SERIES else ())
            }
            for label, words in re.findall(r'(\w+)=~?"([^"]*)"', selectors):
                assert label in known or label in FOREIGN_LABELS, f"{name}{{{label}}}"
                if known.get(label):
                    assert set(words.split("|")) <= set(known[label]), f"{name}{{{label}}}"


def test_the_dashboard_shows_every_metric() -> None:
    shown = {series_of(name) for text in panel_expressions() for name in NAME.findall(text)}

    assert set(SERIES) - shown == set()


def test_every_panel_says_what_it_means_and_lies_beside_the_others() -> None:
    places: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["description"], panel["title"]
        grid = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not places & cells, panel["title"]
        places |= cells
    numbers = [panel["id"] for panel in dashboard()["panels"]]
    assert len(numbers) == len(set(numbers))


def test_prometheus_accepts_the_rules() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", RULES)


def test_prometheus_accepts_every_query_of_the_dashboard(tmp_path: Path) -> None:
    queries = [text for text in panel_expressions() if not text.startswith("label_values(")]
    as_rules = {
        "groups": [
            {
                "name": "panels",
                "rules": [
                    {
                        "record": f"panel_{number}",
                        "expr": query.replace("$__rate_interval", "5m").replace("$instance", ".*"),
                    }
                    for number, query in enumerate(queries)
                ],
            }
        ]
    }
    # JSON is YAML, too
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps(as_rules), "utf-8")

    assert f"{len(queries)} rules found" in promtool("check", "rules", file)


def test_every_rule_was_seen_to_fire_and_to_keep_quiet() -> None:
    cases = CASE.findall(RULE_TESTS.read_text("utf-8"))

    fires = {name for name, quiet in cases if not quiet}
    keeps_quiet = {name for name, quiet in cases if quiet}
    assert fires == keeps_quiet == set(rules())
    assert "SUCCESS" in promtool("test", "rules", RULE_TESTS)


@pytest.mark.parametrize("name", rules())
def test_a_rule_tells_how_bad_it_is_and_what_mends_it(name: str) -> None:
    body = rules()[name]

    assert re.search(r"severity: (page|ticket)\n", body)
    assert re.search(r"summary: .+\n", body)
    assert re.search(r"remedy: .+", body)


def test_what_rules_and_panels_send_people_to_exists() -> None:
    migrations = "".join(
        path.read_text("utf-8") for path in (ROOT / "supabase" / "migrations").glob("*.sql")
    )
    made = set(re.findall(r"(?:view|function) (ops\.\w+)", migrations))
    texts = RULES.read_text("utf-8") + DASHBOARD.read_text("utf-8")

    assert set(re.findall(r"\bops\.\w+", texts)) - made == set()
