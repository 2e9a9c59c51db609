"""A Supabase-compatible stack for machines without Docker: development, demo and tests.

Product code never imports this package, and nothing here runs when it is imported.
"""

from __future__ import annotations
