"""`python -m local`: hands over to the command line, nothing else."""

from __future__ import annotations

from local.cli import main


if __name__ == "__main__":
    main()
