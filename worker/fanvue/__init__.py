"""The outside world: HTTP and Fanvue's interface. Knows nothing about our tables."""

from __future__ import annotations
