"""How Hypothesis looks for counter-examples in tests that need no stack."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


# A busy machine is no counter-example, and drawing that takes long there is no fault of a test.
# Half the usual number: every run draws others.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)
settings.load_profile("unhurried")
