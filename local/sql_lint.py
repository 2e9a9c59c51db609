"""Checks the migrated database: the official CLI's PL/pgSQL lint and advisors, and our own rules.

Runs against a fresh instance of its own. Findings that are wanted stand, each with its reason,
in supabase/advisors-allowed.txt; an entry that matches nothing any more is a finding too.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated, Any

import typer

from local.errors import StackError
from local.programs import PROJECT, supabase_command
from local.script import run_script
from local.stack import Stack


ALLOWED_FILE = PROJECT / "supabase" / "advisors-allowed.txt"
_OWN_SCHEMAS = """
select string_agg(nspname, ',' order by nspname) from pg_namespace
where nspname !~ '^pg_' and nspname not in
  ('auth', 'cron', 'extensions', 'realtime', 'supabase_migrations', 'information_schema')
"""


def read_allowed(path: Path) -> dict[str, str]:
    """Read `pattern  # reason` lines; a line without a reason is an error."""
    allowed: dict[str, str] = {}
    if not path.exists():
        return allowed
    for line in path.read_text(encoding="utf-8").splitlines():
        pattern, _, reason = (part.strip() for part in line.partition("#"))
        if not pattern:
            continue
        if not reason:
            raise StackError(f"{path.name}: `{pattern}` needs a reason: `pattern  # why`")
        allowed[pattern] = reason
    return allowed


def judge(findings: dict[str, str], allowed: dict[str, str]) -> list[str]:
    """Return the findings that nobody allowed, and the permissions that nothing needs."""
    refused = [
        text
        for key, text in sorted(findings.items())
        if not any(fnmatchcase(key, pattern) for pattern in allowed)
    ]
    unused = [
        f"{pattern} is allowed but does not occur: remove the line"
        for pattern in allowed
        if not any(fnmatchcase(key, pattern) for key in findings)
    ]
    return refused + unused


def advice_findings(results: list[dict[str, Any]]) -> dict[str, str]:
    """Return what the advisors warn of, by the key that allows it."""
    return {
        item["cacheKey"]: f"{item['level']} {item['cacheKey']}: {item['detail']}"
        for item in results
        if item["level"] in {"WARN", "ERROR"}
    }


def lint_findings(results: list[dict[str, Any]]) -> dict[str, str]:
    """Return what the PL/pgSQL checker has against a function, by the key that allows it."""
    return {
        (key := f"lint {entry['function']}: {issue['message']}"): f"{issue['level']} {key}"
        for entry in results
        for issue in entry["issues"]
    }


def check(
    directory: Annotated[Path, typer.Option("--dir")] = PROJECT / ".local" / "sql-lint",
    port: Annotated[int, typer.Option()] = 55521,
) -> None:
    """Check a freshly migrated database and print what is wrong with it."""
    stack = Stack(directory, port=port, volatile=True)
    stack.down(reset=True)
    try:
        env = stack.up().env
        remote = f"--remote={env['SUPABASE_DB_URL']}?sslmode=disable"
        schemas = stack.query(_OWN_SCHEMAS).strip()
        lint = _ask("db", "lint", remote, f"--schema={schemas}", "--level=warning")
        advice = _ask("db", "advisors", remote, "--level=warn")
        found = lint_findings(lint) | advice_findings(advice)
        findings = judge(found, read_allowed(ALLOWED_FILE))
    finally:
        stack.down(reset=True)
    for finding in findings:
        typer.echo(finding, err=True)
    typer.echo(f"{len(findings)} findings in schemas {schemas}")
    raise typer.Exit(1 if findings else 0)


def _ask(*command: str) -> list[dict[str, Any]]:
    # The CLI leaves files in the project it works on; these questions are about a database only.
    with tempfile.TemporaryDirectory(prefix="fanvue-sql-lint-") as scratch:
        answer = subprocess.run(  # noqa: S603 - the CLI that package.json pins
            [*supabase_command(), *command, "--output-format=json", f"--workdir={scratch}"],
            env={**os.environ, "SUPABASE_TELEMETRY_DISABLED": "1", "CI": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        results: list[dict[str, Any]] = json.loads(answer.stdout)["results"]
    except (ValueError, KeyError) as error:
        raise StackError(f"{' '.join(command[:2])} failed:\n{answer.stderr.strip()}") from error
    return results


if __name__ == "__main__":
    run_script(check)
