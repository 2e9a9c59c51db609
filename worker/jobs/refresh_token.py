"""The job that completes a refresh whose worker fell silent, within Fanvue's grace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.jobs.outcomes import Done


if TYPE_CHECKING:
    from worker.jobs.grants import GrantKeeper
    from worker.store.jobs import Job


async def refresh_token(job: Job, grants: GrantKeeper) -> Done:
    """Obtain a token of the grant behind the job's model; that refreshes it if it is still due."""
    await grants.token(job.model_id, grant_id=job.grant_id)
    return Done()
