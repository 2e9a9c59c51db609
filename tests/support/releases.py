"""Older workers, kept so that tests can run them against the newest schema: source and contract.

`python -m tests.support.releases COMMIT` packs the worker of a commit and records what it asks of a
running stack (FSE_TEST_STACK) that has that commit's schema. One release back is supported.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any, Final

import psycopg

from tests.contract.worker_calls import read_calls
from tests.support.postgres import PROJECT
from tests.support.stack import read_stack


if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.postgres import Connection


FOLDER: Final = PROJECT / "tests" / "releases"
_FUNCTIONS: Final = """
select p.proname as name,
       (select jsonb_object_agg(a.name, format_type(a.type, null))
        from unnest(p.proargnames, p.proargtypes::oid[]) with ordinality a(name, type, place)
        where a.place <= p.pronargs) as arguments,
       p.proargnames[1 : p.pronargs - p.pronargdefaults] as required,
       pg_get_function_result(p.oid) as returns,
       has_function_privilege('service_role', p.oid, 'execute') as callable
from pg_proc p
where p.pronamespace = 'public'::regnamespace
  and not exists (select from pg_depend d
                  where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
order by p.proname
"""


def older_worker() -> Path:
    """Return the source of the newest release that is not this one."""
    (source,) = FOLDER.glob("worker-*.zip")
    return source


def recorded() -> dict[str, Any]:
    """Return what that release asks of the database: RPCs, types of arguments, types of answers."""
    contract: dict[str, Any] = json.loads(older_worker().with_suffix(".json").read_text("utf-8"))
    return contract


def rpc_functions(database: Connection) -> list[dict[str, Any]]:
    """Return the functions that a database serves as RPCs."""
    columns = ("name", "arguments", "required", "returns", "callable")
    rows = database.execute(_FUNCTIONS).fetchall()
    return [dict(zip(columns, row, strict=True)) for row in rows]


def candidates(
    functions: list[dict[str, Any]], name: str, given: frozenset[str]
) -> list[dict[str, Any]]:
    """Return the functions that a call by name and named arguments may mean; one is wanted."""
    return [
        one
        for one in functions
        if one["name"] == name
        and set(one["required"] or ()) <= given <= set(one["arguments"] or ())
    ]


def _pack(commit: str, target: Path) -> None:
    answer = subprocess.run(
        ["git", "archive", "--format=zip", commit, "worker"],  # noqa: S607 - whichever git there is
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    with (
        zipfile.ZipFile(io.BytesIO(answer.stdout)) as whole,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed,
    ):
        for entry in whole.infolist():
            if entry.filename.endswith(".py"):
                packed.writestr(entry, whole.read(entry), zipfile.ZIP_DEFLATED, 9)


def _record(source: Path, database: Connection) -> dict[str, Any]:
    functions = rpc_functions(database)
    contract: dict[str, Any] = {}
    for name, given in sorted(read_calls(source).items()):
        (one,) = candidates(functions, name, given)
        types = one["arguments"] or {}
        contract[name] = {
            "arguments": {argument: types[argument] for argument in sorted(given)},
            "returns": one["returns"],
        }
    return contract


def main(commit: str) -> None:
    """Keep the worker of a commit instead of the one that was kept."""
    for old in FOLDER.glob("worker-*"):
        old.unlink()
    target = FOLDER / f"worker-{commit}.zip"
    _pack(commit, target)
    with psycopg.connect(read_stack()["SUPABASE_DB_URL"]) as database:
        contract = _record(target, database)
    target.with_suffix(".json").write_text(json.dumps(contract, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
