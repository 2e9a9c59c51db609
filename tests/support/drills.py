"""What an engineer on call has: the views of schema ops, and the remedies as they stand there.

A remedy is run by its text; words around a call are the step that a person takes before it.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql
from psycopg.rows import dict_row

from worker.app import open_books
from worker.jobs.grants import ACCESS_COLUMN, REFRESH_COLUMN
from worker.sealing import Keyring


if TYPE_CHECKING:
    from tests.support.engine import Engine


TROUBLE: Final = ("late", "dead_jobs", "webhooks_waiting", "reconnect", "drift")
_CALL: Final = re.compile(r"select ops\.[a-z_]+\([^)]*\)")
# The tests silence pg_cron and work by hand; one drill is about this question.
_NOT_ASKED: Final = "Does the schedule tick?"


@dataclass(slots=True)
class Console:
    """The operators' console of one engine."""

    engine: Engine

    def read(self, view: str) -> list[dict[str, Any]]:
        """Return what a view shows."""
        with self.engine.database.cursor(row_factory=dict_row) as cursor:
            cursor.execute(sql.SQL("select * from {}").format(sql.Identifier("ops", view)))
            return cursor.fetchall()

    def only(self, view: str, **where: Any) -> dict[str, Any]:
        """Return the one row of a view that has these values."""
        rows = self.read(view)
        found = [row for row in rows if where.items() <= row.items()]
        assert len(found) == 1, rows
        return found[0]

    def tick(self, seconds: float = 60) -> None:
        """Let a minute pass, with the tick at its end."""
        self.engine.pass_time(seconds)
        self.engine.database.execute("select public.enqueue_due('worker')")

    def mend(self, remedy: str) -> dict[str, Any]:
        """Run the call that a remedy spells, exactly as it stands there."""
        call = _CALL.search(remedy)
        assert call is not None, remedy
        row = self.engine.database.execute(call[0].encode()).fetchone()
        assert row is not None
        return dict(row[0])

    def connect_again(self, creator: str) -> None:
        """Let a creator consent once more, with every scope."""
        self.engine.models[creator] = asyncio.run(self._connect_again(creator))

    async def _connect_again(self, creator: str) -> str:
        engine = self.engine
        pair = engine.fanvue.grant(creator)
        keyring = Keyring(engine.settings().sealing.keys)
        async with open_books(engine.settings()) as books:
            connection = await books.grants.connect("Agency A", creator, None, replace=True)
            model = connection.model_id
            access = keyring.seal(pair.access_token, model, ACCESS_COLUMN)
            refresh = keyring.seal(str(pair.refresh_token), model, REFRESH_COLUMN)
            lifetime = timedelta(seconds=pair.expires_in)
            await books.grants.store(connection, access, refresh, lifetime)
            return model

    def trouble(self) -> dict[str, list[dict[str, Any]]]:
        """Return every view that is not empty."""
        shown = {view: self.read(view) for view in TROUBLE}
        return {view: rows for view, rows in shown.items() if rows}

    def worries(self) -> dict[str, str]:
        """Return the questions of the front page that want attention, with their answers."""
        return {
            row["question"]: row["answer"]
            for row in self.read("health")
            if row["state"] != "ok" and row["question"] != _NOT_ASKED
        }

    def assert_all_well(self, *creators: str) -> None:
        """See that nothing is shown any more and the books are exact."""
        assert self.trouble() == {}
        assert self.worries() == {}
        for creator in creators:
            self.engine.assert_exact(creator)
