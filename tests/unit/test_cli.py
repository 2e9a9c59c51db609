"""The command line without a database: what it refuses, how it says so, and what it promises."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from worker import SCHEMA_VERSION
from worker.cli import build_app
from worker.commands.refusals import PlainErrors
from worker.errors import DatabaseUnavailable, LeaseLost, Misconfigured, Rejected


if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer.testing import Result


ROOT = Path(__file__).parents[2]
CREATOR = "7f1c1f0e-3c58-4f4e-9a55-0d8f2a6f1b11"
# Nothing listens on port 9: a command that tried to connect would fail with 1, not with 2.
SETTINGS = {
    "SUPABASE_URL": "http://127.0.0.1:9",
    "SUPABASE_SECRET_KEY": "sb_secret_made_up_for_tests",
    "SUPABASE_SERVICE_ROLE_KEY": None,
    "FANVUE_CLIENT_ID": "client",
    "FANVUE_CLIENT_SECRET": "made-up-client-secret",
    "TOKEN_ENCRYPTION_KEYS": "k1:" + base64.b64encode(bytes(32)).decode(),
}


def every_command(group: Any, *before: str) -> Iterator[list[str]]:
    """Walk the program, so that no new command can be forgotten."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from every_command(command, *before, name)
        else:
            yield [*before, name]


APP = build_app()
PROGRAM = typer.main.get_command(APP)
COMMANDS = list(every_command(PROGRAM))
PROMISED = [
    *(["run"], ["connect"], ["connect-agency"], ["sync"], ["enqueue"], ["reconcile"], ["status"]),
    *(["creators"], ["doctor"], ["watch"], ["jobs", "list"], ["jobs", "retry"], ["jobs", "cancel"]),
    *(["tokens", "status"], ["tokens", "refresh"], ["tokens", "rotate-key"]),
]


@pytest.fixture(autouse=True, scope="module")
def _built_once() -> Iterator[None]:
    """Build the program once: typer's runner would build it for every call."""
    build = typer.main.get_command
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            typer.testing, "_get_command", lambda app: PROGRAM if app is APP else build(app)
        )
        yield


@pytest.fixture(autouse=True)
def _own_logging_and_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands configure logging for their process and read .env where they are."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def fanvue_sync(*words: str, stdin: str | None = None, **env: str) -> Result:
    return CliRunner().invoke(APP, list(words), input=stdin, env={**SETTINGS, **env})


def connect(*words: str, agency: str = "Nova", creator: str = CREATOR, **kind: str) -> Result:
    return fanvue_sync("connect", "--agency", agency, "--creator-uuid", creator, *words, **kind)


def assert_refused(result: Result, *lines: str) -> None:
    """One plain line each on stderr, nothing on stdout, exit code 2."""
    said = result.stderr.splitlines()
    assert len(said) == len(lines), result.stderr
    for line, expected in zip(said, lines, strict=True):
        assert line.startswith("error: ")
        assert expected in line
    assert result.stdout == ""
    assert result.exit_code == 2


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_examples_and_takes_json(command: list[str]) -> None:
    result = fanvue_sync(*command, "--help")

    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert f"fanvue-sync {' '.join(command)}" in result.stdout.split("Options:")[1]


def test_no_promised_command_is_missing() -> None:
    assert [command for command in PROMISED if command not in COMMANDS] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_it(shell: str) -> None:
    result = fanvue_sync("--show-completion", shell)

    assert result.exit_code == 0
    assert "_FANVUE_SYNC_COMPLETE" in result.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [("fanvue-sync job", "jobs"), ("fanvue-sync tokens rot", "rotate-key")],
)
def test_completion_offers_commands(words: str, offered: str) -> None:
    result = fanvue_sync(
        _FANVUE_SYNC_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1),
    )

    assert result.stdout.split() == [offered]


def test_without_a_command_the_program_explains_itself() -> None:
    result = fanvue_sync()

    assert result.exit_code == 0
    assert "connect" in result.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nonsense"], "no such command 'nonsense'; see fanvue-sync --help"),
        (["run", "--nonsense"], "no such option: --nonsense; see fanvue-sync run --help"),
        (["jobs"], "missing command; see fanvue-sync jobs --help"),
        (["sync"], "missing argument"),
        (["jobs", "retry", "many"], "should be a valid integer"),
        (["jobs", "retry", "0"], "greater than or equal to 1"),
        (["jobs", "cancel", str(2**63)], "less than or equal to"),
        (["jobs", "list", "--limit", "-1"], "greater than or equal to 1"),
        (["jobs", "list", "--state", "lost"], "'queued', 'running'"),
        (["reconcile", "--days", "0"], "greater than or equal to 1"),
        (["reconcile", "--days", "4001"], "less than or equal to"),
        (["reconcile", "--days", "many"], "valid integer"),
        (["tokens", "refresh"], "name the grants to refresh; give their ids, or --all"),
    ],
)
def test_wrong_usage_is_one_line_and_code_two(words: list[str], complaint: str) -> None:
    assert_refused(fanvue_sync(*words), complaint)


def test_a_malformed_creator_uuid_is_refused() -> None:
    assert_refused(connect("--refresh-token", "t", creator="nope"), "'--creator-uuid'")


@pytest.mark.parametrize("token", ["", "   ", "\n"])
def test_an_empty_refresh_token_is_refused_before_anything_is_contacted(token: str) -> None:
    assert_refused(connect("--refresh-token", token), "--refresh-token is empty; paste the token")


def test_an_empty_refresh_token_on_stdin_is_refused() -> None:
    assert_refused(connect("--refresh-token", "-", stdin="\n"), "--refresh-token is empty")


def test_an_empty_refresh_token_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "grant.txt"
    file.write_text(" \n")

    assert_refused(connect("--refresh-token-file", str(file)), "--refresh-token-file is empty")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'"made-up"\n', "--refresh-token-file stands in quotes; leave them out"),
        (b"'made-up'", "--refresh-token-file stands in quotes"),
        ("\u201cmade-up\u201d".encode(), "--refresh-token-file stands in quotes"),
        (b'{"refresh_token": "made-up"}', "--refresh-token-file is JSON; give the token"),
        (b"made-up\nsecond", "--refresh-token-file does not look like a token"),
        (b"made-\xfcp", "--refresh-token-file cannot be read as text; give a text"),
        (b"\x00\xff\x00", "--refresh-token-file cannot be read as text"),
    ],
)
def test_a_file_that_holds_no_token_is_one_line_that_names_the_option(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    file = tmp_path / "grant.txt"
    file.write_bytes(content)

    result = connect("--refresh-token-file", str(file))

    assert_refused(result, complaint)
    assert "made-" not in result.output


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_token_file_of_any_editor_is_read(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "grant.txt"
    file.write_bytes("made-up\r\n".encode(encoding))

    result = connect("--refresh-token-file", str(file))

    # It came as far as the database, where nobody listens.
    assert "the database did not answer" in result.stderr


def test_a_grant_needs_exactly_one_refresh_token(tmp_path: Path) -> None:
    file = tmp_path / "grant.txt"
    file.write_text("token")

    assert_refused(connect(), "exactly one refresh token")
    assert_refused(
        connect("--refresh-token", "t", "--refresh-token-file", str(file)),
        "exactly one refresh token",
    )


def test_a_token_with_spaces_is_refused_and_not_repeated() -> None:
    result = connect("--refresh-token", "made up secret words")

    assert_refused(result, "does not look like a token")
    assert "made up" not in result.output


def test_everything_wrong_with_a_connection_is_said_at_once() -> None:
    result = connect("--refresh-token", " ", "--access-token", "", agency="  ")

    assert_refused(
        result, "--agency is empty", "--refresh-token is empty", "--access-token is empty"
    )


@pytest.mark.parametrize("seconds", ["-1", "soon", "1e9", "99999999999"])
def test_an_impossible_lifetime_is_refused(seconds: str) -> None:
    assert_refused(
        connect("--refresh-token", "t", "--expires-in", seconds), "invalid value for '--expires-in'"
    )


def test_several_wrong_settings_are_one_line_each() -> None:
    result = fanvue_sync("run", SUPABASE_URL="ftp://x", FANVUE_CLIENT_ID="", WORKER_CONCURRENCY="0")

    assert_refused(result, "SUPABASE_URL", "FANVUE_CLIENT_ID: is missing", "WORKER_CONCURRENCY")


def test_one_wrong_setting_says_what_to_do_once() -> None:
    result = fanvue_sync("status", SUPABASE_SECRET_KEY="")

    assert_refused(result, "SUPABASE_SECRET_KEY: is missing; set it to the project's secret key")
    assert "correct these settings" not in result.stderr


def test_commands_that_only_read_the_database_do_not_ask_for_fanvue_settings() -> None:
    result = fanvue_sync("jobs", "list", FANVUE_CLIENT_ID="", TOKEN_ENCRYPTION_KEYS="")

    assert result.exit_code == 1
    assert "the database did not answer" in result.stderr


def test_with_json_an_error_is_an_object_on_one_line() -> None:
    result = fanvue_sync("jobs", "retry", "many", "--json")

    assert json.loads(result.stderr)["error"]["kind"] == "usage"
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (Rejected("no model 1", remedy="list them"), 2, "error: no model 1; list them"),
        (Misconfigured("wrong key", remedy="set it"), 2, "error: wrong key; set it"),
        (LeaseLost("gone"), 1, "error: gone; "),
        (DatabaseUnavailable("no answer"), 1, "error: no answer; check SUPABASE_URL"),
        (ExceptionGroup("tasks", [Rejected("inner")]), 2, "error: inner; change the request"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_leave_the_program_as_one_line_and_their_code(
    error: BaseException, code: int, line: str
) -> None:
    result = CliRunner().invoke(app_that_raises(error), ["break"])

    assert result.exit_code == code
    assert result.stderr.startswith(line)
    assert "Traceback" not in result.output


def test_a_bug_shows_where_it_is_but_no_secret() -> None:
    result = CliRunner().invoke(app_that_raises(RuntimeError("Bearer abcdefghijkl")), ["break"])

    assert result.exit_code == 1
    assert "report it" in result.stderr.splitlines()[-1]
    assert "Traceback" in result.stderr
    assert "abcdefghijkl" not in result.stderr


def app_that_raises(error: BaseException) -> typer.Typer:
    app = typer.Typer(cls=PlainErrors, rich_markup_mode=None)

    @app.callback()
    def root() -> None:
        """Keep `break` a command."""

    @app.command("break")
    def fall() -> None:
        raise error

    return app


def test_the_worker_is_built_for_the_newest_migration() -> None:
    newest = max(path.name for path in (ROOT / "supabase" / "migrations").glob("*_*.sql"))

    assert newest.partition("_")[0] == SCHEMA_VERSION
