"""The worker's settings: typed, frozen, read once from the environment and `.env`.

The only module that reads the environment. Every problem is reported at once, one line each,
saying what to do; no line repeats a value, because it may be a secret.
"""

from __future__ import annotations

import codecs
import io
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

from dotenv.parser import parse_stream
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from worker.errors import Misconfigured
from worker.setting_values import (
    Address,
    HeaderSecret,
    SealingKeys,
    SecretAddress,
    Secrets,
    Word,
    one_line,
)


if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class ApiFamily(StrEnum):
    """Which of Fanvue's two path families to call."""

    AUTO = "auto"
    V1 = "v1"
    UNVERSIONED = "unversioned"


class _Group(BaseSettings):
    """Settings that are needed together; built only from what `load_settings` collected."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the framework's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the framework's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the framework's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take explicit values only, so that tests and commands decide what is read."""
        return (init_settings,)

    @field_validator("*", mode="before")
    @classmethod
    def _one_line(cls, value: object) -> object:
        return one_line(value) if isinstance(value, str) else value


class SupabaseSettings(_Group):
    """The Supabase project that holds the books."""

    url: Address = Field(
        validation_alias="SUPABASE_URL",
        description="set it to the project's API address (Studio: Project Settings, API)",
    )
    secret_key: HeaderSecret = Field(
        validation_alias=AliasChoices("SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"),
        description="set it to the project's secret key (Studio: Project Settings, API Keys)",
    )
    publishable_key: HeaderSecret | None = Field(
        default=None,
        validation_alias="SUPABASE_PUBLISHABLE_KEY",
        description="set it to the project's publishable key, or leave it out",
    )


class FanvueSettings(_Group):
    """The Fanvue app that creators authorise."""

    api_url: Address = Field(
        default="https://api.fanvue.com",
        validation_alias="FANVUE_API_URL",
        description="leave it out for Fanvue's own address",
    )
    auth_url: Address = Field(
        default="https://auth.fanvue.com",
        validation_alias="FANVUE_AUTH_URL",
        description="leave it out for Fanvue's own address",
    )
    client_id: str = Field(
        validation_alias="FANVUE_CLIENT_ID",
        description="set it to the client id of the Fanvue app (Developer area, Authentication)",
    )
    client_secret: SecretStr = Field(
        validation_alias="FANVUE_CLIENT_SECRET",
        description="set it to the client secret of the Fanvue app, shown once at its creation",
    )
    api_version: str = Field(
        default="2025-06-26",
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        validation_alias="FANVUE_API_VERSION",
        description="use a date such as 2025-06-26, or leave it out",
    )
    api_family: Annotated[ApiFamily, Word] = Field(
        default=ApiFamily.AUTO,
        validation_alias="FANVUE_API_FAMILY",
        description="use auto, v1 or unversioned",
    )
    webhook_secrets: Secrets = Field(
        default=(),
        validation_alias="FANVUE_WEBHOOK_SECRETS",
        description="list the signing secrets with commas, the current one first",
    )
    timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=120,
        validation_alias="FANVUE_TIMEOUT_SECONDS",
        description="use a number of seconds between 1 and 120",
    )


class SealingSettings(_Group):
    """The keys that seal tokens at rest."""

    keys: SealingKeys = Field(
        validation_alias="TOKEN_ENCRYPTION_KEYS",
        description="list id:base64 of 32 random bytes with commas; the first one seals",
    )


class UpstashSettings(_Group):
    """The cache; optional, but both values or none."""

    url: Address = Field(
        validation_alias="UPSTASH_REDIS_REST_URL",
        description="set it beside UPSTASH_REDIS_REST_TOKEN, or remove both",
    )
    token: HeaderSecret = Field(
        validation_alias="UPSTASH_REDIS_REST_TOKEN",
        description="set it beside UPSTASH_REDIS_REST_URL, or remove both",
    )


class WorkerSettings(_Group):
    """How this process works; every value has a default."""

    concurrency: int = Field(
        default=8,
        ge=1,
        le=256,
        validation_alias="WORKER_CONCURRENCY",
        description="use the number of jobs to run at once, 1 to 256",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        validation_alias="WORKER_METRICS_PORT",
        description="use a free port, or 0 or nothing for no metrics",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        validation_alias="WORKER_METRICS_HOST",
        description="use an address of this machine, 0.0.0.0 for all, or leave it out for this one",
    )
    alert_webhook_url: SecretAddress | None = Field(
        default=None,
        validation_alias="ALERT_WEBHOOK_URL",
        description="use an address that takes Slack's incoming messages, or leave it out",
    )
    lease_seconds: int = Field(
        default=60,
        ge=10,
        le=3600,
        validation_alias="WORKER_LEASE_SECONDS",
        description="use 10 to 3600 seconds",
    )
    slice_pages: int = Field(
        default=20,
        ge=1,
        le=10_000,
        validation_alias="WORKER_SLICE_PAGES",
        description="use the number of pages after which a long walk lets others go first",
    )
    slice_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        validation_alias="WORKER_SLICE_SECONDS",
        description="use the seconds after which a long walk lets others go first",
    )
    tick_seconds: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        validation_alias="WORKER_TICK_SECONDS",
        description="use the seconds between two scheduling ticks",
    )
    wake_up: Annotated[bool, Word] = Field(
        default=True,
        validation_alias="WORKER_WAKE_UP",
        description="use true or false",
    )
    shutdown_seconds: float = Field(
        default=20.0,
        ge=0,
        le=600,
        validation_alias="WORKER_SHUTDOWN_SECONDS",
        description="use the seconds that running jobs get to finish after SIGTERM",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Word] = Field(
        default="info",
        validation_alias="WORKER_LOG_LEVEL",
        description="use debug, info, warning or error",
    )
    log_format: Annotated[Literal["json", "console"] | None, Word] = Field(
        default=None,
        validation_alias="WORKER_LOG_FORMAT",
        description="use json or console, or leave it out: console on a terminal, else json",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; a group that was not asked for and is not set raises when it is used."""

    worker: WorkerSettings
    upstash: UpstashSettings | None
    supabase_or_none: SupabaseSettings | None
    fanvue_or_none: FanvueSettings | None
    sealing_or_none: SealingSettings | None

    @property
    def supabase(self) -> SupabaseSettings:
        """Return the Supabase settings."""
        return _required(self.supabase_or_none, "SUPABASE_URL and SUPABASE_SECRET_KEY")

    @property
    def fanvue(self) -> FanvueSettings:
        """Return the Fanvue settings."""
        return _required(self.fanvue_or_none, "FANVUE_CLIENT_ID and FANVUE_CLIENT_SECRET")

    @property
    def sealing(self) -> SealingSettings:
        """Return the sealing keys."""
        return _required(self.sealing_or_none, "TOKEN_ENCRYPTION_KEYS")

    def secrets(self) -> tuple[str, ...]:
        """Return every secret text of this process, so that logging can hide it."""
        found: list[SecretStr] = []
        if self.supabase_or_none is not None:
            found.append(self.supabase_or_none.secret_key)
        if self.fanvue_or_none is not None:
            found.append(self.fanvue_or_none.client_secret)
            found.extend(self.fanvue_or_none.webhook_secrets)
        if self.upstash is not None:
            found.append(self.upstash.token)
        if self.worker.alert_webhook_url is not None:
            found.append(self.worker.alert_webhook_url)
        return tuple(secret.get_secret_value() for secret in found)


Need = Literal["supabase", "fanvue", "sealing"]
EVERYTHING: Final[frozenset[Need]] = frozenset({"supabase", "fanvue", "sealing"})

_G = TypeVar("_G", bound=_Group)


def load_settings(
    environ: Mapping[str, str] | None = None,
    dotenv_path: Path | None = Path(".env"),
    *,
    need: Collection[Need] = EVERYTHING,
) -> Settings:
    """Read the settings: the process environment first, then `.env`; empty means unset.

    Groups outside `need` are loaded when they are complete, and left out when they are not.
    """
    values = _collect(os.environ if environ is None else environ, dotenv_path)
    problems: list[str] = []
    supabase = _load(SupabaseSettings, values, problems, needed="supabase" in need)
    fanvue = _load(FanvueSettings, values, problems, needed="fanvue" in need)
    sealing = _load(SealingSettings, values, problems, needed="sealing" in need)
    has_cache = any(name.startswith("UPSTASH_REDIS_REST_") for name in values)
    upstash = _load(UpstashSettings, values, problems, needed=True) if has_cache else None
    worker = _load(WorkerSettings, values, problems, needed=True)
    if problems or worker is None:
        raise Misconfigured("\n".join(problems), remedy="correct these settings and start again")
    return Settings(
        worker=worker,
        upstash=upstash,
        supabase_or_none=supabase,
        fanvue_or_none=fanvue,
        sealing_or_none=sealing,
    )


def _collect(environ: Mapping[str, str], dotenv_path: Path | None) -> dict[str, str]:
    from_file: Mapping[str, str | None] = {}
    if dotenv_path is not None and dotenv_path.is_file():
        from_file = _read_file(dotenv_path)
    merged = {name: value for name, value in from_file.items() if value and value.strip()}
    merged.update({name: value for name, value in environ.items() if value.strip()})
    return merged


def _read_file(path: Path) -> dict[str, str | None]:
    """Read a file of settings, or say what is wrong with the file itself, alone: one line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(
            path, f"cannot be read ({error.strerror}); let this user read it"
        ) from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content:
        raise _unreadable(path, "is saved as UTF-16; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", "replace")
        number, last = before.count("\n") + 1, before.rpartition("\n")[2]
        name = (
            last.partition("=")[0].strip().removeprefix("export ") if "=" in last else "a comment"
        )
        raise _unreadable(
            path, f"line {number} ({name}) is not in UTF-8; save the file as UTF-8"
        ) from None
    values: dict[str, str | None] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            raise _unreadable(
                path,
                f"line {binding.original.line} cannot be read; write NAME=value, quotes closed",
            )
        if binding.key is not None:
            values[binding.key] = binding.value
    return values


def _unreadable(path: Path, what: str) -> Misconfigured:
    return Misconfigured(f"{path.name}: {what}", remedy="correct the file and start again")


def _load(
    group: type[_G], values: Mapping[str, str], problems: list[str], *, needed: bool
) -> _G | None:
    try:
        return group.model_validate(dict(values))
    except ValidationError as error:
        if needed:
            problems.extend(_explain(group, error))
        return None


def _explain(group: type[_Group], error: ValidationError) -> list[str]:
    lines: list[str] = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        variable = str(problem["loc"][0])
        remedy = next(
            (
                field.description or ""
                for field in group.model_fields.values()
                if variable in _names(field.validation_alias)
            ),
            "",
        )
        what = "is missing" if problem["type"] == "missing" else problem["msg"]
        what = what.removeprefix("Value error, ").removeprefix("Input ")
        lines.append(f"{variable}: {what}; {remedy}")
    return lines


def _names(alias: object) -> tuple[str, ...]:
    if isinstance(alias, AliasChoices):
        return tuple(choice for choice in alias.choices if isinstance(choice, str))
    return (alias,) if isinstance(alias, str) else ()


def _required(group: _G | None, names: str) -> _G:
    if group is None:
        raise Misconfigured(f"{names} are not set", remedy="set them in the environment or in .env")
    return group
