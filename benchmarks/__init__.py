"""What the engine costs, as ratios: `python -m benchmarks` prints one table.

Every figure is a median of several rounds on a stack of its own. Nothing here is imported by the
worker, and nothing asserts a time: machines differ, ratios within one run do not.
"""

from __future__ import annotations
