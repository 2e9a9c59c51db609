"""What is counted has a bounded number of series, belongs to one engine, and begins at zero."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args
from uuid import uuid4

import pytest

from worker.fanvue.oauth import RefusalKind
from worker.metrics import MOST_WORDS, OF_THE_ENGINE, OTHER, Metric, Metrics


if TYPE_CHECKING:
    from collections.abc import Callable


def lines(metrics: Metrics, metric: Metric) -> list[str]:
    return [
        line
        for line in metrics.text().decode().splitlines()
        if line.startswith(metric.value.name) and not line.startswith("#")
    ]


def test_names_follow_the_customs_of_prometheus() -> None:
    for metric in Metric:
        series = metric.value
        assert re.fullmatch(r"fanvue_sync_[a-z][a-z_]+[a-z]", series.name)
        assert series.help.endswith(".")
        assert series.name.endswith("_total") == (series.kind == "counter"), series.name
        assert (series.kind == "histogram") == bool(series.buckets), series.name
    assert len({metric.value.name for metric in Metric}) == len(Metric)


@pytest.mark.parametrize("metric", Metric)
def test_no_label_bears_an_id(metric: Metric) -> None:
    names = {label.name for label in metric.value.labels}

    assert not any(name.endswith(("id", "uuid", "handle", "agency", "model")) for name in names)


def test_a_word_that_nobody_knows_is_counted_as_other() -> None:
    metrics = Metrics()

    metrics.count(Metric.CLAIMS, sync_type="a stream of tomorrow")

    assert f'fanvue_sync_jobs_claimed_total{{sync_type="{OTHER}"}} 1.0' in lines(
        metrics, Metric.CLAIMS
    )


def test_endless_words_make_no_endless_series() -> None:
    metrics = Metrics()

    for _ in range(10 * MOST_WORDS):
        metrics.count(Metric.CALLS, template=f"/chats/{uuid4()}", status="2xx")

    found = lines(metrics, Metric.CALLS)
    assert len(found) == MOST_WORDS + 1
    assert any(line.endswith(f" {float(9 * MOST_WORDS)}") for line in found)


def test_counters_of_known_words_begin_at_zero() -> None:
    found = lines(Metrics(), Metric.REFRESHES)

    assert len(found) == 5
    assert all(line.endswith(" 0.0") for line in found)


def test_every_answer_of_the_token_endpoint_has_a_word_of_its_own() -> None:
    (result,) = Metric.REFRESHES.value.labels

    assert set(result.words) == {"refreshed", *get_args(RefusalKind)}


def test_two_engines_count_apart() -> None:
    one, other = Metrics(), Metrics()

    one.count(Metric.LOST)

    assert lines(one, Metric.LOST) == ["fanvue_sync_leases_lost_total 1.0"]
    assert lines(other, Metric.LOST) == ["fanvue_sync_leases_lost_total 0.0"]


def test_figures_of_the_engine_are_absent_until_they_are_known_and_once_they_are_not() -> None:
    metrics = Metrics()
    assert lines(metrics, Metric.DRIFT) == []

    metrics.set(Metric.DRIFT, 3)
    assert lines(metrics, Metric.DRIFT) == ["fanvue_sync_drift_open 3.0"]

    metrics.forget(OF_THE_ENGINE)
    assert lines(metrics, Metric.DRIFT) == []
    metrics.set(Metric.DRIFT, 4)
    assert lines(metrics, Metric.DRIFT) == ["fanvue_sync_drift_open 4.0"]


def test_every_kind_of_metric_takes_its_values() -> None:
    metrics = Metrics()
    ways: dict[str, Callable[..., None]] = {
        "counter": metrics.count,
        "gauge": metrics.set,
        "histogram": metrics.observe,
    }
    for metric in Metric:
        words = {label.name: (label.words or ("word",))[0] for label in metric.value.labels}
        ways[metric.value.kind](metric, 1, **words)

    text = metrics.text().decode()

    for metric in Metric:
        assert f"# TYPE {metric.value.name} {metric.value.kind}\n" in text
    assert "_created" not in text
    assert "process_resident_memory_bytes" in text
