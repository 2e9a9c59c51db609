"""What the hosted database refuses and no advisor knows, found in the functions' parse trees.

Hosted Supabase preloads `safeupdate`: an UPDATE or DELETE without WHERE that comes through the API
is refused. PostgREST before version 16 repeats a call that raises a serialization failure for
ever. A function that cannot be read is a finding too. Reads bodies, runs nothing.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pglast import ast
from pglast.parser import ParseError, parse_plpgsql_json, parse_sql
from pglast.visitors import Visitor


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


FUNCTIONS: Final = """
select coalesce(json_agg(json_build_object(
  'name', p.oid::regprocedure, 'language', l.lanname,
  'body', coalesce(pg_get_function_sqlbody(p.oid), p.prosrc),
  'definition', pg_get_functiondef(p.oid))), '[]')
from pg_proc p
join pg_language l on l.oid = p.prolang
join pg_namespace n on n.oid = p.pronamespace
where n.nspname in ('ops', 'private', 'public') and p.prokind in ('f', 'p')
"""

# The parser looks up types, but knows pg_catalog alone and takes any name in public.
_OWN_NAME: Final = re.compile(r"\b(?:ops|private|public)\.(\w+)(\[\])?")
_TARGET: Final = re.compile(r"^[^=]*=")
_REPEATED_FOR_EVER: Final = re.compile(r"40001|40P01|serialization_failure|deadlock_detected")
_NAME_PUT_IN: Final = re.compile(r"%(?:\d+\$)?[sI]")
_TEXT_PUT_IN: Final = re.compile(r"%(?:\d+\$)?L")
_STATEMENT, _EXPRESSION = 0, 2
_UNKNOWN: Final = "x"


def statement_findings(functions: Iterable[dict[str, str]]) -> list[str]:
    """Return what is wrong with functions, as FUNCTIONS names them."""
    return sorted(
        {f"{function['name']}: {fault}" for function in functions for fault in _faults(function)}
    )


def _faults(function: dict[str, str]) -> list[str]:
    try:
        if function["language"] == "plpgsql":
            return list(_plpgsql_faults(function["definition"]))
        if function["language"] == "sql":
            return _sql_faults(function["body"])
    except ParseError as error:
        return [f"cannot be read: {error.args[0]}"]
    return [f"cannot be read: it is written in {function['language']}"]


def _plpgsql_faults(definition: str) -> Iterator[str]:
    readable = _OWN_NAME.sub(lambda m: "text[]" if m[2] else f"public.{m[1]}", definition)
    for kind, node in _nodes(json.loads(parse_plpgsql_json(readable))):
        if kind == "PLpgSQL_expr":
            yield from _sql_faults(_as_statement(node))
        elif kind == "PLpgSQL_stmt_raise" and _REPEATED_FOR_EVER.search(json.dumps(node)):
            yield "raises what PostgREST repeats for ever"
        executed = _executed(kind, node)
        if executed == _UNKNOWN:
            yield "cannot be read: it runs a text that is not written in it"
        elif executed is not None:
            yield from _sql_faults(executed)


def _nodes(tree: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        yield from tree.items()
    for child in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(child, dict | list):
            yield from _nodes(child)


def _as_statement(expression: dict[str, Any]) -> str:
    query, mode = str(expression["query"]), expression["parseMode"]
    if mode == _STATEMENT:
        return query
    return "select " + (query if mode == _EXPRESSION else _TARGET.sub("", query, count=1))


def _executed(kind: str, node: Any) -> str | None:
    """Return what EXECUTE runs, with `x` for what is put in; None if it is no such statement."""
    dynamic = "query" if kind in {"PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors"} else "dynquery"
    if not kind.startswith("PLpgSQL_stmt_") or dynamic not in node:
        return None
    select: Any = parse_sql(_as_statement(node[dynamic]["PLpgSQL_expr"]))[0].stmt
    return _literal(select.targetList[0].val)


def _literal(node: Any) -> str:
    match node:
        case ast.A_Const(val=ast.String(sval=text)):
            return str(text)
        case ast.A_Expr(name=(ast.String(sval="||"),), lexpr=left, rexpr=right):
            return _literal(left) + _literal(right)
        case ast.FuncCall(funcname=(*_, ast.String(sval="format")), args=(text, *_)):
            return _TEXT_PUT_IN.sub("'x'", _NAME_PUT_IN.sub("x", _literal(text)))
    return _UNKNOWN


def _sql_faults(statements: str) -> list[str]:
    reader = _Reader()
    reader(parse_sql(statements))
    return reader.faults


class _Reader(Visitor):
    """Collects the faults of statements, and of the statements in their literals."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def visit_UpdateStmt(self, _: Any, node: ast.UpdateStmt) -> None:  # noqa: N802 - pglast's names
        self._demand_where("UPDATE", node)

    def visit_DeleteStmt(self, _: Any, node: ast.DeleteStmt) -> None:  # noqa: N802
        self._demand_where("DELETE", node)

    def visit_A_Const(self, _: Any, node: ast.A_Const) -> None:  # noqa: N802
        # What pg_cron runs, for example; most literals are no SQL.
        if isinstance(node.val, ast.String):
            with suppress(ParseError):
                self.faults += _sql_faults(str(node.val.sval))

    def _demand_where(self, verb: str, node: Any) -> None:
        if node.whereClause is None:
            self.faults.append(f"{verb} of {node.relation.relname} without WHERE")
