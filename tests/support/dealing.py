"""How the tests are dealt out to the processes that run them side by side: file by file.

Every process has a stack of its own. Files whose tests share one more instance stay together.
"""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadFileScheduling


# By folder, in the order in which they begin: what has the longest files comes first, so that
# the last processes end at about the same time.
SUITES: Final = {
    "tests/browser/": "browser",
    "tests/local/": "system",
    "tests/system/": "system",
    "tests/realtime/": "system",
    "tests/functions/": "functions",
    "tests/database/": "db",
}
OTHERS: Final = "unit"
# One browser and one dashboard; one running instance beside the process's own stack.
TOGETHER: Final = ("tests/browser/", "tests/local/")


def suite_of(nodeid: str) -> str:
    """Return the suite that a test belongs to."""
    found = (suite for folder, suite in SUITES.items() if nodeid.startswith(folder))
    return next(found, OTHERS)


def rank(nodeid: str) -> int:
    """Return a test's place in the order: the lower, the earlier."""
    places = (place for place, folder in enumerate(SUITES) if nodeid.startswith(folder))
    return next(places, len(SUITES))


class FileScheduling(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """Deals out whole files, and some folders whole."""

    def _split_scope(self, nodeid: str) -> str:
        together = (folder for folder in TOGETHER if nodeid.startswith(folder))
        return next(together, nodeid.partition("::")[0])
