"""`python -m local.demo`: hands over to the command line, nothing else."""

from __future__ import annotations

from local.demo.cli import main


if __name__ == "__main__":
    main()
