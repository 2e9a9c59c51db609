"""The control API below /_sim: how tests and demos steer the simulated world."""

from __future__ import annotations
