"""Settings of the property tests: they count examples, not milliseconds."""

from __future__ import annotations

import tests.support.examples  # noqa: F401 - loads the profile
