"""The demonstration: the whole engine against a simulated Fanvue, and a check of its promises."""

from __future__ import annotations
