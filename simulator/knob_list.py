"""The knobs for people who start the program: a list in plain words, and parsing of settings."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from simulator.knobs import Knobs


if TYPE_CHECKING:
    from simulator.knobs import KnobBook


def knob_lines() -> list[str]:
    """Return one line per knob: its name, default, choices and what it does."""
    lines = []
    defaults = Knobs().model_dump(mode="json")
    for name, field in Knobs.model_fields.items():
        line = f"{name}={json.dumps(defaults[name])}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, StrEnum):
            line += f"  one of {', '.join(field.annotation)}"
        if field.description:
            line += f"  {field.description}"
        lines.append(line)
    return lines


def set_knobs(book: KnobBook, settings: list[str]) -> None:
    """Turn the knobs named; raise ValueError that says in one line what is wrong."""
    try:
        book.update(read_settings(settings))
    except ValidationError as error:
        found = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ValueError("; ".join(found)) from error


def read_settings(settings: list[str]) -> dict[str, Any]:
    """Read NAME=VALUE settings; a value is JSON or, failing that, plain text."""
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"{setting!r} is not NAME=VALUE")
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return values
