"""Fixtures that every suite shares: the stack that runs for the tests.

Only fixtures; what they need is in tests/support.
"""

from __future__ import annotations

import pytest

from tests.support.postgres import stack_settings


@pytest.fixture(scope="session")
def stack() -> dict[str, str]:
    """Return the settings of the running stack; without one, the test fails."""
    return stack_settings()
