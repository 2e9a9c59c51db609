"""The database as the worker sees it: one file per aggregate, every method one idempotent RPC."""

from __future__ import annotations
