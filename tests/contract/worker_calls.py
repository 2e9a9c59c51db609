"""What a worker asks of the database, read from its source: RPC names and their argument names.

Reads a folder or a zip of the package `worker`; runs none of it. A call whose name or arguments
cannot be read from the source is an error, so that none is overlooked.
"""

from __future__ import annotations

import ast
import zipfile
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


Calls = dict[str, frozenset[str]]


class UnreadableCallError(ValueError):
    """A call of the database does not say in the source what it asks."""


def read_calls(package: Path) -> Calls:
    """Return every RPC of a worker with the names of the arguments that it may send."""
    found: dict[str, set[str]] = {}
    for name, source in sorted(_sources(package)):
        for function in _functions(ast.parse(source, filename=name)):
            for call in _calls_in(function):
                rpc, arguments = _read(call, function, name)
                found.setdefault(rpc, set()).update(arguments)
    return {rpc: frozenset(arguments) for rpc, arguments in found.items()}


def _sources(package: Path) -> Iterator[tuple[str, str]]:
    if package.suffix == ".zip":
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                if name.startswith("worker/") and name.endswith(".py"):
                    yield name, archive.read(name).decode()
        return
    for path in package.rglob("*.py"):
        yield path.relative_to(package.parent).as_posix(), path.read_text("utf-8")


def _functions(tree: ast.Module) -> Iterator[ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef))


def _calls_in(function: ast.AsyncFunctionDef) -> Iterator[ast.Call]:
    """Return the calls of `database.call(…)`, however the database is named there."""
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "call"
            and ast.unparse(node.func.value).endswith(("database", "_database"))
        ):
            yield node


def _read(call: ast.Call, function: ast.AsyncFunctionDef, where: str) -> tuple[str, set[str]]:
    name = call.args[0]
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        raise UnreadableCallError(f"{where}:{call.lineno}: the name is no plain text")
    given = call.args[1] if len(call.args) > 1 else ast.Dict(keys=[], values=[])
    if isinstance(given, ast.Name):
        given = _assigned(given.id, function, where)
    if not isinstance(given, ast.Dict):
        raise UnreadableCallError(f"{where}:{call.lineno}: the arguments are no plain dict")
    keys = [key.value for key in given.keys if isinstance(key, ast.Constant)]
    if len(keys) < len(given.keys):
        raise UnreadableCallError(f"{where}:{call.lineno}: an argument's name is computed")
    return name.value, {str(key) for key in keys}


def _assigned(variable: str, function: ast.AsyncFunctionDef, where: str) -> ast.expr:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(one, ast.Name) and one.id == variable for one in targets):
                return node.value
    raise UnreadableCallError(f"{where}: {variable} is assigned elsewhere")
