"""The list of every endpoint, most called first."""

from __future__ import annotations

from simulator.endpoints import account, earnings


ENDPOINTS = [
    *earnings.ENDPOINTS,
    *account.ENDPOINTS,
]
