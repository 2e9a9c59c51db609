"""The certificates that the worker trusts, read once for all its HTTP clients.

Each client left to itself reads the whole list again, which takes longer than a call does.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import httpx


if TYPE_CHECKING:
    import ssl


@cache
def trusted() -> ssl.SSLContext:
    """Return what proves a server's name; nothing of it is taken from the environment."""
    return httpx.create_ssl_context(trust_env=False)
