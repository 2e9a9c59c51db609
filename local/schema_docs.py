"""Writes docs/schema.md, and the rights in docs/security.md, from a migrated database.

What it says is what the database says: comments are written in the migrations. A test compares the
file with a freshly migrated database, so it never drifts. It only reads.
"""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from local.programs import PROJECT
from local.script import run_script
from local.stack import Stack


if TYPE_CHECKING:
    from collections.abc import Iterator


DOCUMENT: Final = PROJECT / "docs" / "schema.md"
SECURITY: Final = PROJECT / "docs" / "security.md"
# Between these lines docs/security.md says what members may read and call.
RIGHTS_BEGIN: Final = "<!-- from the catalog: python -m local.schema_docs -->"
RIGHTS_END: Final = "<!-- end -->"
QUERY: Final = PROJECT / "local" / "schema_docs.sql"
HEAD: Final = """# Schema

Everything the migrations make, as the database itself describes it. Written by
`python -m local.schema_docs` from a migrated database and compared in `make check`: change the
comments in the migrations, never this file.

`public` is served over HTTP under row security; `ops` is the operators' console in Studio;
`private` holds secrets and helpers. Of the roles, `anon` sees no row, `authenticated` is a
signed-in member, `service_role` is the worker and the Edge Functions.
"""


def describe(facts: dict[str, Any]) -> str:
    """Put the facts into words."""
    lines = [HEAD, *_contents(facts)]
    for schema in facts["schemas"]:
        name = schema["name"]
        lines += [f"## {name}", ""]
        if name != "public":
            # what PostgreSQL says of its own schema tells nothing
            lines += [_one_line(schema["comment"]), ""]
        for relation in _of(facts["relations"], name):
            lines += [*_relation(relation), ""]
        functions = _of(facts["functions"], name)
        if functions:
            lines += [f"### Functions of {name}", "", *_functions(functions), ""]
    return "\n".join(lines).rstrip() + "\n"


def describe_rights(facts: dict[str, Any]) -> str:
    """Say what a signed-in member reads of each relation, what is closed, and what they call."""
    lines = [RIGHTS_BEGIN, "| relation | members read | closed to members |", "| --- | --- | --- |"]
    for relation in _of(facts["relations"], "public"):
        open_, closed = _readable(relation)
        lines.append(f"| `{relation['name']}` | {open_} | {closed} |")
    called = [
        f"`{one['name']}`"
        for one in _of(facts["functions"], "public")
        if "authenticated" in (one["callers"] or ())
    ]
    lines += ["", f"Members call {', '.join(dict.fromkeys(called))}.", RIGHTS_END]
    return "\n".join(lines)


def replace_rights(text: str, rights: str) -> str:
    """Return docs/security.md with what members may do as it is now."""
    before, _, rest = text.partition(RIGHTS_BEGIN)
    return f"{before}{rights}{rest.partition(RIGHTS_END)[2]}"


def _readable(relation: dict[str, Any]) -> tuple[str, str]:
    names = [column["name"] for column in relation["columns"]]
    grants = [
        grant
        for grant in relation["grants"] or ()
        if (grant["role"], grant["privilege"]) == ("authenticated", "select")
    ]
    if not grants:
        return "nothing", "all of it"
    readable = set(grants[0]["columns"] or names)
    closed = ", ".join(f"`{name}`" for name in names if name not in readable)
    return f"{len(readable)} columns", closed or "nothing"


def _of(things: list[dict[str, Any]] | None, schema: str) -> list[dict[str, Any]]:
    return [thing for thing in things or () if thing["schema"] == schema]


def _contents(facts: dict[str, Any]) -> Iterator[str]:
    for schema in facts["schemas"]:
        name = schema["name"]
        links = [f"[{one['name']}](#{name}{one['name']})" for one in _of(facts["relations"], name)]
        links.append(f"[functions](#functions-of-{name})")
        yield f"- **{name}**: {' · '.join(links)}"
    yield ""


def _relation(relation: dict[str, Any]) -> Iterator[str]:
    # The anchor of such a heading is its letters: public.models becomes #publicmodels.
    yield f"### {relation['schema']}.{relation['name']}"
    yield ""
    yield f"{relation['kind'].capitalize()}. {_one_line(relation['comment'])}"
    yield ""
    yield "| column | type | what it is |"
    yield "| --- | --- | --- |"
    for column in relation["columns"]:
        yield f"| {column['name']} | {_type(column, relation)} | {_cell(column['comment'])} |"
    yield ""
    yield from (f"- {text}" for text in _facts_of(relation))


def _type(column: dict[str, Any], relation: dict[str, Any]) -> str:
    words = [column["type"]]
    if relation["kind"] == "table" and not column["required"]:
        words.append("or null")
    if column["generated"]:
        words.append(f"= `{_cell(column['default'])}`")
    elif column["default"] is not None:
        words.append(f"default `{_cell(column['default'])}`")
    elif column["numbered"]:
        words.append("numbered")
    return " ".join(words)


def _facts_of(relation: dict[str, Any]) -> Iterator[str]:
    for key in relation["keys"] or ():
        yield f"`{_one_line(key['text'])}`"
    for index in relation["unique_indexes"] or ():
        _, _, where = index["text"].partition(" USING ")
        told = f": {_one_line(index['comment'])}" if index["comment"] else ""
        yield f"unique `{where.removeprefix('btree ')}`{told}"
    if relation["row_security"]:
        policies = [
            f"“{policy['name']}” ({policy['command']}, {', '.join(policy['roles'])})"
            for policy in relation["policies"] or ()
        ]
        yield f"row security: {'; '.join(policies) or 'no policy, so nobody below the owner'}"
    yield f"grants: {_grants(relation['grants'] or [])}"


def _grants(grants: list[dict[str, Any]]) -> str:
    by_role: dict[str, dict[str, list[str]]] = {}
    for grant in grants:
        columns = ", ".join(grant["columns"]) if grant["columns"] else ""
        by_role.setdefault(grant["role"], {}).setdefault(columns, []).append(grant["privilege"])
    parts = []
    for role, by_columns in sorted(by_role.items()):
        words = [
            f"{', '.join(privileges)}{f' ({columns})' if columns else ''}"
            for columns, privileges in by_columns.items()
        ]
        parts.append(f"{role} may {' and '.join(words)}")
    return "; ".join(parts) or "nobody below the owner"


def _functions(functions: list[dict[str, Any]]) -> Iterator[str]:
    yield "| function | callers | what it does |"
    yield "| --- | --- | --- |"
    for one in functions:
        signature = f"{one['name']}({one['arguments']})"
        returns = "" if one["returns"] == "trigger" else f" → {one['returns']}"
        callers = "trigger" if one["returns"] == "trigger" else ", ".join(one["callers"] or ())
        yield (
            f"| `{_cell(signature + returns)}` | {callers or 'the owner'} "
            f"| {_cell(one['comment'])} |"
        )


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _cell(text: str | None) -> str:
    return _one_line(text).replace("|", "\\|")


def write(
    directory: Annotated[Path, typer.Option("--dir")] = PROJECT / ".local" / "schema-docs",
    port: Annotated[int, typer.Option()] = 55721,
) -> None:
    """Write both documents anew, from a stack that is made for it and thrown away."""
    stack = Stack(directory, port=port, volatile=True)
    stack.down(reset=True)
    try:
        stack.up()
        facts = json.loads(stack.query(QUERY.read_text(encoding="utf-8")))
    finally:
        stack.down(reset=True)
    text = describe(facts)
    DOCUMENT.write_text(text, encoding="utf-8")
    rights = replace_rights(SECURITY.read_text(encoding="utf-8"), describe_rights(facts))
    SECURITY.write_text(rights, encoding="utf-8")
    typer.echo(f"{DOCUMENT.relative_to(PROJECT)}: {text.count(chr(10))} lines")


if __name__ == "__main__":
    run_script(write)
