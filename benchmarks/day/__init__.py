"""A whole day of fifty creators in minutes: freshness, calls, exactness, kills, a huge backfill."""

from __future__ import annotations
