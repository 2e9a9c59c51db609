"""Use cases: one file per kind of job, and the one place where results become job outcomes."""

from __future__ import annotations
