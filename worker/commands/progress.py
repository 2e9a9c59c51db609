"""The progress bars of long commands: on stderr, only on a terminal, gone when they are done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from worker.commands.terminal import one_line, open_console, span


if TYPE_CHECKING:
    from types import TracebackType


# What a walk does in a phase; the first one, its list, needs no words.
PHASES: Final = {
    "rows": "",
    "aside": "reversals",
    "verify": "comparing with Fanvue's sums",
    "talk": "messages of chats with news",
    "history": "older messages",
}


class SyncProgress:
    """One walk: pages, rows, the date it has reached, and what it waits for."""

    def __init__(self, sync_type: str, *, quiet: bool) -> None:
        console = open_console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[pages]} pages · {task.fields[rows]} rows{task.fields[place]}"),
            TextColumn("{task.fields[note]}", style="yellow", markup=False),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task(
            one_line(sync_type), total=None, pages=0, rows=0, place="", note="waiting for its turn"
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, progress: dict[str, Any]) -> None:
        """Show a job's progress as its row keeps it."""
        if not progress:
            return
        position = _moment(progress.get("position"))
        place = "" if position is None else f" · back to {position:%Y-%m-%d}"
        done = _share(progress)
        self._progress.update(
            self._task,
            total=None if done is None else 100,
            completed=0 if done is None else done * 100,
            pages=progress.get("pages", 0),
            rows=progress.get("rows", 0),
            place=place,
            note=phase_text(progress.get("phase")),
        )

    def waiting(self, wait: timedelta, why: str) -> None:
        """Say that nothing happens for a while, and why."""
        self._progress.update(
            self._task, note=one_line(f"waiting {span(wait.total_seconds())} {why}")
        )

    def elsewhere(self, worker: str) -> None:
        """Say that another worker has the job."""
        self._progress.update(self._task, note=one_line(f"running in {worker}"))


class CountProgress:
    """So many of so many."""

    def __init__(self, what: str, total: int, *, quiet: bool) -> None:
        console = open_console(stderr=True)
        self._progress = Progress(
            TextColumn(what),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task(what, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def step(self) -> None:
        """Count one more."""
        self._progress.advance(self._task)


def phase_text(phase: str | None) -> str:
    """Say what a walk does in a phase."""
    return PHASES.get(phase or "rows", str(phase))


def _share(progress: dict[str, Any]) -> float | None:
    """Return how much of the walk's range is read; unknown when it has no beginning."""
    floor, ceiling = _moment(progress.get("floor")), _moment(progress.get("ceiling"))
    position = _moment(progress.get("position"))
    if floor is None or ceiling is None or position is None or ceiling <= floor:
        return None
    return min(1.0, max(0.0, (ceiling - position) / (ceiling - floor)))


def _moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value).astimezone(UTC)
