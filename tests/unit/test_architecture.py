"""The dependency direction of the packages, read from the imports themselves."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).parents[2]

# From the bottom up; a layer may import the layers below it and itself.
FOUNDATION = {
    "clock",
    "errors",
    "logs",
    "metrics",
    "redaction",
    "sealing",
    "setting_values",
    "settings",
    "tally",
    "traffic",
    "transport",
    "trust",
}
LAYERS: list[set[str]] = [
    FOUNDATION,
    {"sync", "store", "fanvue", "limits", "cache"},
    {"streams"},
    {"jobs"},
    {
        "alerts",
        "changes",
        "observe",
        "runner",
        "schedule",
        "stats_cache",
        "subscription",
        "wake_up",
    },
    {"app"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
SEPARATE = {"store", "fanvue", "limits", "cache"}
MAY_READ_ENVIRONMENT = {"worker/settings.py"}
PURE_PACKAGE = "worker/sync"


@dataclass(frozen=True)
class Import:
    """One imported module, and where."""

    file: str
    module: str
    line: int

    @property
    def part(self) -> str:
        """Return the name directly below `worker`."""
        names = self.module.split(".")
        return names[1] if len(names) > 1 else ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def sources(folder: str) -> Iterator[Path]:
    yield from sorted((ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part_of(file: str) -> str:
    return file.removeprefix("worker/").split("/")[0].removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree_of(path)))


def modules_named(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        if node.module == "worker":
            return [f"worker.{alias.name}" for alias in node.names]
        return ["." * node.level + (node.module or "")]
    return []


@cache
def imports_of(folder: str) -> list[Import]:
    return [
        Import(relative(path), module, getattr(node, "lineno", 0))
        for path in sources(folder)
        for node in nodes_of(path)
        for module in modules_named(node)
    ]


def level_of(part: str) -> int | None:
    return next((level for level, layer in enumerate(LAYERS) if part in layer), None)


def package_of(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def show(offences: list[Import]) -> str:
    return "\n".join(map(str, offences))


def test_there_is_something_to_check() -> None:
    assert any(sources("worker"))


def test_imports_are_absolute() -> None:
    offences = [found for found in imports_of("worker") if found.module.startswith(".")]

    assert not offences, show(offences)


def test_every_part_of_the_worker_has_a_layer() -> None:
    parts = {part_of(relative(path)) for path in sources("worker")} - {"__init__"}

    assert {part for part in parts if level_of(part) is None} == set()


def test_imports_point_downwards() -> None:
    offences = [
        found
        for found in imports_of("worker")
        if package_of(found.module) == "worker" and found.part and points_up(found)
    ]

    assert not offences, show(offences)


def points_up(found: Import) -> bool:
    importer, imported = level_of(part_of(found.file)), level_of(found.part)
    if found.part == "__version__" or importer is None or imported is None:
        return False
    return imported > importer


def test_the_outside_parties_do_not_know_each_other() -> None:
    offences = [
        found
        for found in imports_of("worker")
        if part_of(found.file) in SEPARATE
        and found.part in (SEPARATE | {"sync"}) - {part_of(found.file)}
        and package_of(found.module) == "worker"
    ]

    assert not offences, show(offences)


def test_the_domain_imports_only_errors_pydantic_and_the_standard_library() -> None:
    allowed = sys.stdlib_module_names | {"pydantic"}
    effects = {"asyncio", "http", "os", "random", "socket", "sqlite3", "subprocess", "urllib"}
    offences = [
        found
        for found in imports_of(PURE_PACKAGE)
        if not found.module.startswith(("worker.sync", "worker.errors"))
        and (package_of(found.module) not in allowed or package_of(found.module) in effects)
    ]

    assert not offences, show(offences)


def test_only_the_settings_read_the_environment() -> None:
    offences = [
        f"{relative(path)}:{node.lineno}"
        for path in sources("worker")
        if relative(path) not in MAY_READ_ENVIRONMENT
        for node in nodes_of(path)
        if isinstance(node, ast.Attribute | ast.ImportFrom) and reads_environment(node)
    ]

    assert offences == []


def reads_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id == "os" and node.attr in {"environ", "getenv", "environb"}
    return isinstance(node, ast.ImportFrom) and (
        node.module == "dotenv"
        or (
            node.module == "os" and any(alias.name in {"environ", "getenv"} for alias in node.names)
        )
    )


def test_only_one_module_opens_http_clients() -> None:
    makers = {"AsyncClient", "Client", "AsyncHTTPTransport", "HTTPTransport"}
    offences = [
        f"{relative(path)}:{node.lineno}"
        for path in sources("worker")
        if relative(path) != "worker/transport.py"
        for node in nodes_of(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "httpx"
        and node.func.attr in makers
    ]

    assert offences == []


def test_only_the_clock_reads_the_time() -> None:
    named = {("datetime", "now"), ("datetime", "utcnow"), ("time", "time"), ("time", "monotonic")}
    offences = [
        f"{relative(path)}:{node.lineno}"
        for path in sources("worker")
        if relative(path) != "worker/clock.py"
        for node in nodes_of(path)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in named
    ]

    assert offences == []


@pytest.mark.parametrize(
    ("folder", "strangers"),
    [
        ("worker", {"local", "simulator", "tests", "benchmarks"}),
        ("local", {"worker", "tests", "benchmarks"}),
        ("simulator", {"worker", "local", "tests", "benchmarks"}),
    ],
)
def test_the_worker_its_stack_and_its_simulator_stay_apart(
    folder: str, strangers: set[str]
) -> None:
    offences = [found for found in imports_of(folder) if package_of(found.module) in strangers]

    assert not offences, show(offences)


@pytest.mark.parametrize("folder", ["worker"])
def test_every_module_says_what_it_is_for_and_stays_readable(folder: str) -> None:
    for path in sources(folder):
        text = path.read_text("utf-8")
        module = tree_of(path)

        assert ast.get_docstring(module), relative(path)
        assert text.count("\n") <= 400, relative(path)
        assert "from __future__ import annotations" in text, relative(path)


def test_no_module_is_named_after_nothing() -> None:
    vague = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc"}
    names = {path.stem for folder in ("worker", "local", "simulator") for path in sources(folder)}

    assert names & vague == set()
