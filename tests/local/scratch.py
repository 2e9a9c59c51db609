"""Instances of the stack with a small project of their own, and headers of their clients."""

from __future__ import annotations

from pathlib import Path

from local.stack import Stack


PROJECT = Path(__file__).parent / "project"
PORT = 27321
# Nothing here takes long; this only ends what hangs.
SECONDS = 240.0


def make_stack(directory: Path, project: Path = PROJECT) -> Stack:
    return Stack(
        directory,
        port=PORT,
        volatile=True,
        migrations=project / "migrations",
        functions=project / "functions",
    )


def key_headers(key: str, token: str | None = None) -> dict[str, str]:
    return {"apikey": key, "authorization": f"Bearer {token or key}"}
