"""The certificates that HTTP clients trust, read once in a test process instead of once a client.

Reading them takes longer than most of what a test does with a client, and libraries open clients
of their own. What is trusted stays the same.
"""

from __future__ import annotations

from functools import cache

import httpx
from httpx._transports import default


def read_once() -> None:
    """Let every client of this process share what was read for the first one."""
    vars(default)["create_ssl_context"] = cache(httpx.create_ssl_context)
