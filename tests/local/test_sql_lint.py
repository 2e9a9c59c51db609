from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.errors import StackError
from local.sql_lint import advice_findings, judge, lint_findings, read_allowed
from local.statement_lint import statement_findings


if TYPE_CHECKING:
    from pathlib import Path


def advice(key: str, level: str = "WARN") -> dict[str, Any]:
    return {"cacheKey": key, "level": level, "detail": f"about {key}"}


def test_advice_that_nobody_allowed_is_a_finding() -> None:
    findings = judge(advice_findings([advice("rls_off_a"), advice("slow_b", "INFO")]), {})

    assert findings == ["WARN rls_off_a: about rls_off_a"]


def test_allowed_advice_is_none() -> None:
    assert judge(advice_findings([advice("rls_off_a")]), {"rls_off_*": "on purpose"}) == []


def test_a_permission_that_nothing_needs_is_a_finding() -> None:
    assert "rls_off_*" in judge({}, {"rls_off_*": "on purpose"})[0]


def test_a_permission_needs_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "allowed.txt"
    file.write_text("# a comment\n\nkey_one  # because\nkey_two\n")

    with pytest.raises(StackError, match="key_two"):
        read_allowed(file)


def test_permissions_are_read_with_their_reasons(tmp_path: Path) -> None:
    file = tmp_path / "allowed.txt"
    file.write_text("key_one  # because\n")

    assert read_allowed(file) == {"key_one": "because"}
    assert read_allowed(tmp_path / "none.txt") == {}


def test_an_issue_of_a_function_is_a_finding_that_can_be_allowed() -> None:
    issues = [{"level": "error", "message": "no such column"}]
    findings = lint_findings([{"function": "public.f", "issues": issues}])

    assert judge(findings, {}) == ["error lint public.f: no such column"]
    assert judge(findings, {"lint public.f: *": "the checker cannot see it"}) == []


def plpgsql(body: str) -> dict[str, str]:
    definition = f"create function ops.f(p public.models) returns setof jsonb as $x$ {body} $x$"
    return {
        "name": "ops.f(models)",
        "language": "plpgsql",
        "body": body,
        "definition": f"{definition} language plpgsql",
    }


def sql(body: str) -> dict[str, str]:
    return {"name": "ops.g()", "language": "sql", "body": body, "definition": ""}


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (sql("update public.a set b = 1"), "UPDATE of a"),
        (sql("with x as (delete from a returning *) select count(*) from x"), "DELETE of a"),
        (plpgsql("begin update private.a s set b = 1; end"), "UPDATE of a"),
        (plpgsql("begin begin delete from a; exception when others then end; end"), "DELETE of a"),
        (plpgsql("begin if true then null; else loop delete from a; end loop; end if; end"), "a"),
        (
            plpgsql(
                "declare r record; begin for r in update a set b = 1 returning * loop end loop; end"
            ),
            "a",
        ),
        (plpgsql("begin return query update a set b = 1 returning *; end"), "UPDATE of a"),
        (
            plpgsql("begin execute format('update %I.%I set b = %L', 'c', 'd', 1); end"),
            "UPDATE of x",
        ),
        (plpgsql("begin execute 'delete from ' || quote_ident(p.handle); end"), "DELETE of x"),
        (
            plpgsql(
                "begin execute $c$select cron.schedule('n', '* * * * *', 'delete from a')$c$; end"
            ),
            "a",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value["body"],
)
def test_a_write_without_where_is_a_finding(function: dict[str, str], fault: str) -> None:
    (finding,) = statement_findings([function])

    assert finding.startswith(f"{function['name']}: ")
    assert finding.endswith(f"{fault} without WHERE")


@pytest.mark.parametrize(
    "raised",
    [
        "raise sqlstate '40001'",
        "raise serialization_failure",
        "raise exception using errcode = '40001'",
        "raise exception 'again' using errcode = 'serialization_failure', hint = 'later'",
    ],
)
def test_an_error_that_postgrest_repeats_for_ever_is_a_finding(raised: str) -> None:
    (finding,) = statement_findings([plpgsql(f"begin {raised}; end")])

    assert finding == "ops.f(models): raises what PostgREST repeats for ever"


@pytest.mark.parametrize(
    "function",
    [
        sql("select from"),
        plpgsql("begin nonsense; end"),
        plpgsql("declare v elsewhere.kind; begin end"),
        plpgsql("begin execute format('update %I', 'a'); end"),
        plpgsql("declare s text := 'delete from '; begin s := s || 'a'; execute s; end"),
        {**sql(""), "language": "plv8"},
    ],
    ids=lambda function: function["body"],
)
def test_a_function_that_cannot_be_read_is_a_finding(function: dict[str, str]) -> None:
    (finding,) = statement_findings([function])

    assert "cannot be read" in finding


def test_what_every_function_may_do_is_no_finding() -> None:
    body = """
    declare
      v_rows public.models[];
      v_stream private.sync_streams;
    begin
      update private.a s set b = s.b + 1 where s.c = p.id;
      insert into a values (1) on conflict (b) do update set c = 1;
      perform from a for update;
      p.handle := (select x.c from a x where x.b = p.id);
      execute format('update %s t set a = $1 where t.b = %L', p.handle, 1) using p.id;
      return next jsonb_build_object('remedy', 'delete the row, or update it', 'op', 'UPDATE');
    exception when serialization_failure or sqlstate '40001' then
      raise sqlstate 'PT409' using message = 'try again';
    end
    """

    assert statement_findings([plpgsql(body), sql("delete from a where b")]) == []
