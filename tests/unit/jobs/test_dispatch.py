"""A job goes to the handler of its type; a type that nobody knows here waits for a newer worker."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.unit.jobs.test_outcomes import JOB
from worker.errors import Misconfigured
from worker.fanvue.calls import RequestMeter
from worker.jobs.dispatch import Dispatch
from worker.jobs.outcomes import Done


if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.store.jobs import Job


async def handle(job: Job, meter: RequestMeter, stopping: Callable[[], bool]) -> Done:
    return Done(partial=f"{job.sync_type} {meter.requests} {stopping()}")


async def test_a_job_goes_to_the_handler_of_its_type() -> None:
    dispatch = Dispatch({"earnings": handle})

    result = await dispatch(JOB, RequestMeter(requests=3), lambda: True)

    assert result == Done(partial="earnings 3 True")


async def test_a_job_of_an_unknown_type_is_ours_to_mend_and_costs_no_attempt() -> None:
    dispatch = Dispatch({"earnings": handle})

    with pytest.raises(Misconfigured, match="no job type tomorrow") as caught:
        await dispatch(replace(JOB, sync_type="tomorrow"), RequestMeter(), lambda: False)

    assert "newest worker" in caught.value.remedy
