"""The domain: pure decisions about rows, windows and walks. No I/O, no clock, no settings."""

from __future__ import annotations
