"""How errors leave the program: one line on stderr each, and the exit code. The only such place.

Expected errors never show a traceback. 2 is for usage and configuration, 1 for failures, 130 for
Ctrl-C. With `--json` the line is a JSON object.
"""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperGroup

from worker.commands.terminal import print_json, say
from worker.errors import DatabaseUnavailable, SyncError
from worker.redaction import redact_text


if TYPE_CHECKING:
    from collections.abc import Sequence


INTERRUPTED: Final = 130
FAILED: Final = 1
PROGRAM: Final = "fanvue-sync"


class PlainErrors(TyperGroup):
    """The program's root: everything that goes wrong below it passes through here."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - the framework's signature
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002 - the framework's signature
        **extra: Any,
    ) -> Any:
        """Run a command line and exit."""
        words = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(
                words or ["--help"],
                prog_name or PROGRAM,
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
        except Exception as error:  # noqa: BLE001 - the last place where an error can be told
            code = _tell(error, as_json="--json" in words)
        if standalone_mode:
            sys.exit(code or 0)
        return code


def _tell(error: Exception, *, as_json: bool) -> int:
    cause = _root_of(error)
    if isinstance(cause, SyncError):
        described, code = _lines_of(cause), cause.exit_code
    elif isinstance(cause, typer.Abort):
        return INTERRUPTED
    elif isinstance(cause, typer.TyperException):
        described, code = [_usage_of(cause)], cause.exit_code
    else:
        say(redact_text("".join(traceback.format_exception(error))), err=True)
        message = f"unexpected {type(cause).__name__}: {' '.join(str(cause).split())}"
        remedy = "this is a fault of the engine: report it with the lines above"
        described, code = [_described("bug", message, remedy)], FAILED
    for line in described:
        if as_json:
            print_json({"error": line}, err=True)
        else:
            remedy = f"; {line['remedy']}" if line["remedy"] else ""
            say(f"error: {line['message']}{remedy}", err=True)
    return code


def _root_of(error: BaseException) -> BaseException:
    """Return what a task group wrapped, if it is one thing."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _lines_of(error: SyncError) -> list[dict[str, str]]:
    lines = error.message.splitlines()
    if len(lines) > 1:
        # Several problems at once: each of the lines says itself what to do.
        return [_described(error.code, line, "") for line in lines]
    if "; " in error.message and error.code == "misconfigured" and _names_setting(error.message):
        return [_described(error.code, error.message, "")]
    return [_described(error.code, error.message, remedy_of(error))]


def _names_setting(message: str) -> bool:
    """Tell whether a message is one of the settings' own, `NAME or file: problem; remedy`."""
    name, colon, _ = message.partition(": ")
    return bool(colon) and " " not in name and (name.isupper() or name.startswith(".env"))


def remedy_of(error: SyncError) -> str:
    """Return what a person is to do; "nothing" is true for a worker, but a command has ended."""
    if isinstance(error, DatabaseUnavailable) and error.remedy == error.remedy_by_default:
        return "check SUPABASE_URL and that the project is up, then try again"
    return "try again in a moment" if error.remedy.startswith("nothing") else error.remedy


def _usage_of(error: typer.TyperException) -> dict[str, str]:
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message.replace(": Input should", ": it should")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else PROGRAM
    return _described("usage", message[:1].lower() + message[1:], f"see {command} --help")


def _described(kind: str, message: str, remedy: str) -> dict[str, str]:
    return {"kind": kind, "message": redact_text(message), "remedy": redact_text(remedy)}
