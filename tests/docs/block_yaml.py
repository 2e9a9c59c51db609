"""Reads the plain part of YAML that our own files keep to: block maps, block lists, scalars.

Whatever it does not know (flow collections, anchors, folded text, tabs) is an error, never a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from pathlib import Path


_KEY = re.compile(r"([A-Za-z0-9_.-]+|\"[^\"]+\"):(?: +(.*))?$")
_COMMENT = re.compile(r"(^| +)#.*$")
_UNKNOWN = ("&", "*", "!", "|", ">", "{", "[", "@", "`", "%", "'")


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    depth: int
    text: str


class UnknownYamlError(ValueError):
    """The file uses a part of YAML that this reader leaves out."""


def read_yaml(path: Path) -> Any:
    """Read a file."""
    return parse_yaml(path.read_text(encoding="utf-8"))


def parse_yaml(text: str) -> Any:
    """Read a text."""
    lines = []
    for number, raw in enumerate(text.splitlines(), start=1):
        content = raw if '"' in raw else _COMMENT.sub("", raw)
        if content.strip() and not content.lstrip().startswith("#"):
            if "\t" in content:
                raise UnknownYamlError(f"line {number}: a tab")
            stripped = content.lstrip(" ")
            lines.append(_Line(number, len(content) - len(stripped), stripped.rstrip()))
    value, rest = _block(lines)
    if rest:
        raise UnknownYamlError(f"line {rest[0].number}: indented less than what it belongs to")
    return value


def _block(lines: list[_Line]) -> tuple[Any, list[_Line]]:
    if not lines:
        return None, []
    if lines[0].text.startswith("- ") or lines[0].text == "-":
        return _list(lines)
    if _KEY.match(lines[0].text):
        return _map(lines)
    return _scalar(lines[0]), lines[1:]


def _list(lines: list[_Line]) -> tuple[list[Any], list[_Line]]:
    depth, items = lines[0].depth, []
    while lines and lines[0].depth == depth and lines[0].text.startswith("-"):
        first = lines[0]
        inner = first.text[1:].lstrip(" ")
        # What follows the dash stands in a block of its own, as deep as its first word.
        head = _Line(first.number, first.depth + len(first.text) - len(inner), inner)
        tail = _deeper(lines[1:], depth)
        value, rest = _block([head, *tail])
        if rest:
            raise UnknownYamlError(f"line {rest[0].number}: does not fit into its list")
        items.append(value)
        lines = lines[1 + len(tail) :]
    return items, lines


def _map(lines: list[_Line]) -> tuple[dict[str, Any], list[_Line]]:
    depth, found = lines[0].depth, {}
    while lines and lines[0].depth == depth:
        line = lines[0]
        match = _KEY.match(line.text)
        if match is None:
            raise UnknownYamlError(f"line {line.number}: no `key: value`")
        key = match[1].strip('"')
        if key in found:
            raise UnknownYamlError(f"line {line.number}: {key} stands there twice")
        if match[2]:
            found[key] = _scalar(_Line(line.number, depth, match[2]))
            lines = lines[1:]
            continue
        below = _deeper(lines[1:], depth)
        found[key], rest = _block(below)
        if rest:
            raise UnknownYamlError(f"line {rest[0].number}: does not fit below {key}")
        lines = lines[1 + len(below) :]
    return found, lines


def _deeper(lines: list[_Line], depth: int) -> list[_Line]:
    end = next((at for at, line in enumerate(lines) if line.depth <= depth), len(lines))
    return lines[:end]


def _scalar(line: _Line) -> Any:
    text = line.text
    if text.startswith('"'):
        if not text.endswith('"') or "\\" in text or '"' in text[1:-1]:
            raise UnknownYamlError(f"line {line.number}: a quoted text with escapes")
        return text[1:-1]
    if text.startswith(_UNKNOWN):
        raise UnknownYamlError(f"line {line.number}: {text[0]} begins no plain text")
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if re.fullmatch(r"-?\d+", text) else text
