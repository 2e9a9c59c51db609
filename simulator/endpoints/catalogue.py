"""The list of every endpoint, most called first; fixed paths come before parameters."""

from __future__ import annotations

from simulator.endpoints import (
    account,
    agency,
    chats,
    earnings,
    fans,
    growth,
    messages,
    posts,
    registrations,
    spenders,
    summary,
)


ENDPOINTS = [
    *earnings.ENDPOINTS,
    *chats.ENDPOINTS,
    *messages.ENDPOINTS,
    *fans.ENDPOINTS,
    *spenders.ENDPOINTS,
    *summary.ENDPOINTS,
    *growth.ENDPOINTS,
    *posts.ENDPOINTS,
    *account.ENDPOINTS,
    *agency.ENDPOINTS,
    *registrations.ENDPOINTS,
]
