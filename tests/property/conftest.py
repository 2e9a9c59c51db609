"""Settings of the property tests: they count examples, not milliseconds."""

from __future__ import annotations

from hypothesis import settings


# A busy machine is no counter-example.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
