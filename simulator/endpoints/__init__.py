"""The simulated API, one module per part of it; `catalogue` lists every endpoint."""

from __future__ import annotations
