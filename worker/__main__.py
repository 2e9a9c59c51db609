"""`python -m worker` is `fanvue-sync`."""

from __future__ import annotations

from worker.cli import main


if __name__ == "__main__":
    main()
