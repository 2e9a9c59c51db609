"""The Fanvue sync worker: claims jobs, syncs creators' money, keeps the books exact."""

from __future__ import annotations


__version__ = "0.1.0.dev0"
# The newest migration this worker was built for; a test keeps it equal to supabase/migrations.
SCHEMA_VERSION = "20261101001999"
