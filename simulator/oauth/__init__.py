"""The simulated authorization server: grants, tokens, rotation and its HTTP pages."""

from __future__ import annotations
