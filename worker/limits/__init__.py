"""The budget of calls to Fanvue: who may call, when, and how that is shared between workers."""

from __future__ import annotations
