"""What supabase/config.toml asks for, as far as the local stack serves it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.errors import StackError


if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """Settings of the REST API and of Auth; what the file leaves out is as in the CLI."""

    schemas: tuple[str, ...] = ("public",)
    search_path: tuple[str, ...] = ("public", "extensions")
    max_rows: int = 1000
    sign_ups: bool = True


def read_project(config_toml: Path) -> ProjectSettings:
    """Read the file; none is a project with the usual settings.

    Raises `StackError` for what cannot be read, and for a function whose callers the hosted
    gateway would check: it knows HS256 alone, and projects with newer signing keys use ES256.
    """
    if not config_toml.exists():
        return ProjectSettings()
    try:
        project = tomllib.loads(config_toml.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise StackError(f"{config_toml} cannot be read: {error}") from error
    for name, function in project.get("functions", {}).items():
        if function.get("verify_jwt", True):
            raise StackError(
                f"{config_toml}: set verify_jwt = false for function {name} and let it check its "
                "callers itself: the hosted check refuses tokens of the new signing keys"
            )
    api, usual = project.get("api", {}), ProjectSettings()
    return ProjectSettings(
        schemas=tuple(api.get("schemas", usual.schemas)),
        search_path=tuple(api.get("extra_search_path", usual.search_path)),
        max_rows=int(api.get("max_rows", usual.max_rows)),
        sign_ups=bool(project.get("auth", {}).get("enable_signup", usual.sign_ups)),
    )
