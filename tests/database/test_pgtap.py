"""What pgTAP and the statement lint prove from the catalog, and the types made from it.

All look at the stack's own database, the one that `python -m local up` migrates and schedules.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import psycopg
import pytest

from local.statement_lint import FUNCTIONS, statement_findings
from tests.support.postgres import PROJECT


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


FILES = sorted((PROJECT / "supabase" / "tests").rglob("*.sql"))
# Most assertions are made for each object that a query finds; where fewer are made, a query may
# have stopped finding. Whoever removes objects lowers the figure.
AT_LEAST = {
    "01-tenants": 568,
    "02-secrets": 127,
    "03-rules": 1463,
    "04-stats": 37,
    "05-operators": 269,
    "06-roles": 121,
}


def pg_prove(file: Path, url: str) -> subprocess.CompletedProcess[str]:
    """Run a file of pgTAP; Debian keeps pg_prove where a plain user's path may not lead."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    program = shutil.which("pg_prove", path=path)
    assert program, "pg_prove is not installed: run `make setup`"
    return subprocess.run(
        [program, "--ext", ".sql", "--failures", "--comments", "--dbname", url, str(file)],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_catalog_keeps_its_promises(
    cluster_url: str, file: Path, record_property: Callable[[str, object], None]
) -> None:
    answer = pg_prove(file, cluster_url)

    assert answer.returncode == 0, answer.stdout + answer.stderr
    counted = re.search(r"Files=1, Tests=(\d+)", answer.stdout)
    assert counted, answer.stdout
    record_property("assertions", counted[1])
    assert int(counted[1]) >= AT_LEAST[file.stem]


def test_the_owner_reads_the_schedule_and_changes_it_by_its_functions_alone(
    cluster_url: str,
) -> None:
    with psycopg.connect(cluster_url) as database:
        assert database.execute("select from cron.job").rowcount > 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute("update cron.job set active = active where jobid = 0")


def test_no_function_does_what_the_hosted_database_refuses(cluster_url: str) -> None:
    with psycopg.connect(cluster_url) as database:
        row = database.execute(FUNCTIONS).fetchone()

    assert row is not None
    assert len(row[0]) > 200
    assert statement_findings(row[0]) == []


def test_the_types_that_functions_and_dashboard_share_are_of_this_database(
    cluster_url: str,
) -> None:
    answer = subprocess.run(
        [str(PROJECT / "supabase" / "functions" / "tests" / "check-types.sh"), cluster_url],
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr
