"""A faithful Fanvue for tests and demos: API, OAuth, faults and a control API.

It imitates what is known of the real service on a loopback address, from a seeded world.
It must never be imported by the worker, nor talk to the real Fanvue.
"""

from __future__ import annotations
