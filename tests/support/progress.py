"""Says how far each suite is while tests run, shows failures at once, and sums up at the end.

On a terminal one line a suite moves; elsewhere one line with all suites is printed now and then.
A pytest plugin of the process that hands out the tests.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

import pytest
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.support.dealing import SUITES, suite_of


if TYPE_CHECKING:
    from collections.abc import Iterable

    from _pytest.terminal import TerminalReporter
    from rich.progress import TaskID


SAY_EVERY_SECONDS: Final = 15.0
ORDER: Final = tuple(dict.fromkeys((*reversed(SUITES.values()), "unit")))


class SuiteProgress:
    """Counts the tests of each suite as their reports come in."""

    def __init__(self, reporter: TerminalReporter) -> None:
        self._reporter = reporter
        self._total: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._said = time.monotonic()
        self._bars: Progress | None = None
        self._lines: dict[str, TaskID] = {}
        # The traceback is shown when a test fails; at the end its name is enough.
        reporter.summary_failures = reporter.summary_errors = lambda: None  # type: ignore[method-assign]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Learn what is to be run, from whichever process collected it."""
        self._expect(ids)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Learn what is to be run, where one process does all."""
        if session.items:
            self._expect(item.nodeid for item in session.items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Print nothing for a test that passed; the counts say it."""
        if report.passed:
            return ("passed" if report.when == "call" else "", "", "")
        return None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that ended, and show why one failed."""
        suite = suite_of(report.nodeid)
        self._seconds[suite] += report.duration
        if report.failed:
            self._failed[suite] += 1
            self._show(report)
        if report.when == "teardown":
            self._done[suite] += 1
            self._tell(suite)

    def pytest_terminal_summary(self) -> None:
        """Print the table of the suites."""
        self._stop()
        self._reporter.section("suites")
        for suite in self._suites():
            verdict = f"{self._failed[suite]} FAILED" if self._failed[suite] else "ok"
            self._reporter.write_line(
                f"{suite:<10} {self._done[suite]:5} of {self._total[suite]:5} tests  "
                f"{self._seconds[suite]:6.0f} s of work  {verdict}"
            )

    def pytest_unconfigure(self) -> None:
        """Give the terminal back, however the run ended."""
        self._stop()

    def _expect(self, ids: Iterable[str]) -> None:
        self._total = Counter(suite_of(nodeid) for nodeid in ids)
        if self._bars is None and self._reporter.isatty:
            columns = (TextColumn("{task.description:<10}"), BarColumn(30), MofNCompleteColumn())
            self._bars = Progress(*columns, TimeElapsedColumn())
            for suite in self._suites():
                self._lines[suite] = self._bars.add_task(suite, total=self._total[suite])
            self._bars.start()

    def _suites(self) -> list[str]:
        return [suite for suite in ORDER if self._total[suite]]

    def _tell(self, suite: str) -> None:
        if self._bars is not None:
            self._bars.advance(self._lines[suite])
        elif time.monotonic() > self._said + SAY_EVERY_SECONDS:
            self._said = time.monotonic()
            counts = (f"{one} {self._done[one]}/{self._total[one]}" for one in self._suites())
            self._reporter.write_line(" · ".join(counts))
            # Into a pipe or a file it would else come in blocks.
            self._reporter.flush()

    def _show(self, report: pytest.TestReport) -> None:
        text = f"\nFAILED {report.nodeid} ({report.when})\n{report.longreprtext}"
        for title, content in report.sections:
            text += f"\n--- {title}\n{content.rstrip()}"
        if self._bars is None:
            self._reporter.write_line(f"\n{text}\n")
            self._reporter.flush()
        else:
            self._bars.console.print(text, markup=False, highlight=False)

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
