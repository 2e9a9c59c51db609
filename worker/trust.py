"""Whom the worker trusts on the network: certifi's authorities, read once for all connections.

Nothing is taken from the environment, so that no variable can add an authority.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import httpx


if TYPE_CHECKING:
    from ssl import SSLContext


@cache
def authorities() -> SSLContext:
    """Return the one context of this process: reading the list takes longer than most calls."""
    return httpx.create_ssl_context(trust_env=False)
