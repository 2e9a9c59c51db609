"""The streams: what is read where, and how it becomes rows. Declarations only, no I/O."""

from __future__ import annotations
