"""How the worker is watched: metrics over HTTP, whether it lives, whether it is ready."""

from __future__ import annotations
