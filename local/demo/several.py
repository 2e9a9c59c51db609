"""Several commands of `fanvue-sync`, one after the other, for the price of one start of Python.

Reads a list of {"words", "stdin"} from stdin and ends at the first command that fails. Each runs as
`python -m worker` would.
"""

from __future__ import annotations

import io
import json
import runpy
import sys


def main() -> None:
    """Run what stdin asks for."""
    for order in json.load(sys.stdin):
        sys.argv = ["fanvue-sync", *order["words"]]
        sys.stdin = io.StringIO(order["stdin"])
        try:
            runpy.run_module("worker", run_name="__main__")
        except SystemExit as end:
            if end.code:
                print(f"{order['words'][0]} ended with {end.code}", file=sys.stderr)  # noqa: T201 - this is a program
                sys.exit(1)


if __name__ == "__main__":
    main()
