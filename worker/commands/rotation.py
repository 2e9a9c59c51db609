"""`fanvue-sync tokens rotate-key`: seals everything with the first key, while workers go on.

Each row is replaced by compare-and-swap: a refresh in between wins, and its row is looked at
again. Tokens and the secrets of registered webhooks are opened in memory only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import typer

from worker.app import open_books
from worker.commands.progress import CountProgress
from worker.commands.session import begin, wait_for
from worker.commands.terminal import AsJson, counted, print_json, say
from worker.commands.webhook_check import open_secret, seal_secret
from worker.errors import Misconfigured
from worker.jobs.grants import ACCESS_COLUMN, REFRESH_COLUMN
from worker.sealing import Keyring
from worker.store.webhooks import WebhookStore


if TYPE_CHECKING:
    from worker.app import Books
    from worker.settings import Settings


EXAMPLES: Final = """
\b
Examples:
  fanvue-sync tokens rotate-key
  fanvue-sync tokens rotate-key --json
\b
Before: put the new key behind the old one in TOKEN_ENCRYPTION_KEYS of every worker and of the
functions, and restart them; then before the old one, and restart them again. Nobody ever meets
a key that they do not know. After: when none has failed, the old key may go.
"""
ROUNDS: Final = 5


@dataclass(slots=True)
class Rotation:
    """What a rotation did."""

    sealed_by: str
    resealed: int = 0
    unchanged: int = 0
    webhooks: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return {
            "sealed_by": self.sealed_by,
            "resealed": self.resealed,
            "unchanged": self.unchanged,
            "webhooks_resealed": self.webhooks,
            "failed": self.failed,
        }


def rotate_key(*, as_json: AsJson = False) -> None:
    """Seal every stored token and webhook secret with the first key; exits 1 if one fails."""
    rotation = wait_for(_rotate(begin({"supabase", "sealing"}), quiet=as_json))
    if as_json:
        print_json(rotation.as_json())
    else:
        say(
            f"{counted(rotation.resealed, 'grant')} sealed with key '{rotation.sealed_by}', "
            f"{rotation.unchanged} were already, {len(rotation.failed)} failed"
        )
        if rotation.webhooks:
            say(f"{counted(rotation.webhooks, 'webhook secret')} sealed as well")
        for failure in rotation.failed:
            say(f"{failure['grant_id']}: {failure['message']}; {failure['remedy']}")
    if rotation.failed:
        raise typer.Exit(1)


async def _rotate(settings: Settings, *, quiet: bool) -> Rotation:
    keyring = Keyring(settings.sealing.keys)
    rotation = Rotation(keyring.sealing_id)
    async with open_books(settings) as books:
        await _seal_webhooks(WebhookStore(books.database), keyring, rotation)
        grants = await books.grants.stored()
        waiting = [grant for grant in grants if _needs_sealing(keyring, grant)]
        rotation.unchanged = len(grants) - len(waiting)
        with CountProgress("sealing", len(waiting), quiet=quiet) as progress:
            for _ in range(ROUNDS):
                moved = set()
                for grant in waiting:
                    if await _seal(books, keyring, grant, rotation):
                        progress.step()
                    else:
                        moved.add(grant["grant_id"])
                if not moved:
                    return rotation
                # A worker refreshed these meanwhile, perhaps still with the old key first.
                waiting = [one for one in await books.grants.stored() if one["grant_id"] in moved]
    rotation.failed += [_failure(grant, _keeps_changing()) for grant in waiting]
    return rotation


async def _seal_webhooks(store: WebhookStore, keyring: Keyring, rotation: Rotation) -> None:
    """Seal the secrets of registered webhooks anew; nothing but a rotation ever changes one."""
    for creator in await store.creators():
        for webhook in creator.webhooks:
            if webhook.sealed is None or not keyring.needs_sealing(webhook.sealed):
                continue
            try:
                sealed = seal_secret(keyring, open_secret(keyring, webhook), webhook.id)
            except Misconfigured as error:
                rotation.failed.append({"grant_id": webhook.id} | error.describe())
                continue
            rotation.webhooks += await store.reseal(webhook.id, webhook.sealed, sealed)


def _needs_sealing(keyring: Keyring, grant: dict[str, Any]) -> bool:
    stored = (grant["access_token"], grant["refresh_token"])
    return any(token is not None and keyring.needs_sealing(token) for token in stored)


async def _seal(books: Books, keyring: Keyring, grant: dict[str, Any], rotation: Rotation) -> bool:
    """Seal one grant anew; False when it changed meanwhile and must be looked at again."""
    if not _needs_sealing(keyring, grant):
        rotation.unchanged += 1
        return True
    grant_id = str(grant["grant_id"])
    before = (grant["access_token"], grant["refresh_token"])
    try:
        after = (
            _resealed(keyring, before[0], grant_id, ACCESS_COLUMN),
            _resealed(keyring, before[1], grant_id, REFRESH_COLUMN),
        )
    except Misconfigured as error:
        rotation.failed.append(_failure(grant, error))
        return True
    if not await books.grants.reseal(grant_id, before, after):
        return False
    rotation.resealed += 1
    return True


def _resealed(keyring: Keyring, stored: str | None, grant_id: str, column: str) -> str | None:
    if stored is None or not keyring.needs_sealing(stored):
        return stored
    return keyring.seal(keyring.open(stored, grant_id, column).value, grant_id, column)


def _keeps_changing() -> Misconfigured:
    return Misconfigured(
        "the grant changed each time it was sealed", remedy="run rotate-key once more"
    )


def _failure(grant: dict[str, Any], error: Misconfigured) -> dict[str, str]:
    return {"grant_id": str(grant["grant_id"])} | error.describe()
