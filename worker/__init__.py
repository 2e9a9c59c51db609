"""The Fanvue sync worker: claims jobs, syncs creators' money, keeps the books exact."""

from __future__ import annotations


__version__ = "0.1.0.dev0"
