"""The commands of `fanvue-sync`, one module per group; each parses, calls the engine, prints."""

from __future__ import annotations
