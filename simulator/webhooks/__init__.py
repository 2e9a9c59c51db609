"""Webhooks of the simulated Fanvue: bodies, signatures, targets, deliveries and retries."""

from __future__ import annotations
