"""The environment becomes typed settings, or one report of everything that is wrong."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from worker.errors import Misconfigured
from worker.settings import ApiFamily, load_settings


if TYPE_CHECKING:
    from pathlib import Path

KEY = base64.b64encode(b"k" * 32).decode()
COMPLETE = {
    "SUPABASE_URL": "http://127.0.0.1:54321/",
    "SUPABASE_SECRET_KEY": "sb_secret_made_up",
    "FANVUE_CLIENT_ID": "client-1",
    "FANVUE_CLIENT_SECRET": "made-up-client-secret",
    "TOKEN_ENCRYPTION_KEYS": f"new:{KEY},old:{KEY}",
}


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in COMPLETE.items() if name not in names}


def test_defaults_are_those_of_the_documentation() -> None:
    settings = load_settings(COMPLETE, None)

    assert settings.supabase.url == "http://127.0.0.1:54321"
    assert settings.fanvue.api_url == "https://api.fanvue.com"
    assert settings.fanvue.auth_url == "https://auth.fanvue.com"
    assert settings.fanvue.api_version == "2025-06-26"
    assert settings.fanvue.api_family is ApiFamily.AUTO
    assert settings.worker.concurrency == 8
    assert settings.worker.metrics_port is None
    assert settings.upstash is None


def test_lists_are_read_in_order() -> None:
    settings = load_settings(COMPLETE | {"FANVUE_WEBHOOK_SECRETS": " current , previous,"}, None)

    assert [key.id for key in settings.sealing.keys] == ["new", "old"]
    assert [s.get_secret_value() for s in settings.fanvue.webhook_secrets] == [
        "current",
        "previous",
    ]


@pytest.mark.parametrize(
    "name", ["SUPABASE_SECRET_KEY", "FANVUE_CLIENT_SECRET", "FANVUE_CLIENT_ID", "SUPABASE_URL"]
)
def test_a_line_end_after_a_value_is_no_part_of_it(name: str) -> None:
    settings = load_settings(COMPLETE | {name: f" {COMPLETE[name]}\r\n"}, None)

    assert settings == load_settings(COMPLETE, None)


@pytest.mark.parametrize(
    "name",
    [
        *("SUPABASE_SECRET_KEY", "FANVUE_CLIENT_SECRET", "FANVUE_CLIENT_ID", "SUPABASE_URL"),
        *("TOKEN_ENCRYPTION_KEYS", "FANVUE_WEBHOOK_SECRETS", "WORKER_CONCURRENCY"),
    ],
)
@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ("made\nup", "has a line end or a control character in it"),
        ("made\x07up", "has a line end or a control character in it"),
        ('"made-up"', "stands in quotes, which are not part of it"),
        ("'made-up'", "stands in quotes, which are not part of it"),
    ],
)
def test_what_a_file_or_a_shell_left_in_a_value_is_one_line_with_its_name(
    name: str, shape: str, complaint: str
) -> None:
    with pytest.raises(Misconfigured) as caught:
        load_settings(COMPLETE | {name: shape}, None)

    (line,) = caught.value.message.splitlines()
    assert line.startswith(f"{name}: {complaint}; ")
    assert "made" not in line


def test_a_key_with_a_letter_that_no_header_takes_is_named() -> None:
    with pytest.raises(Misconfigured) as caught:
        load_settings(COMPLETE | {"SUPABASE_SECRET_KEY": "sb_secret_\u0441"}, None)

    assert caught.value.message.startswith("SUPABASE_SECRET_KEY: has a letter or a space that no")


def test_keys_go_on_in_the_next_line_after_a_comma() -> None:
    keys = COMPLETE["TOKEN_ENCRYPTION_KEYS"].replace(",", ",\n  ")

    settings = load_settings(COMPLETE | {"TOKEN_ENCRYPTION_KEYS": keys}, None)

    assert [key.id for key in settings.sealing.keys] == ["new", "old"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("A=1\n".encode("utf-16"), ".env: is saved as UTF-16; save it as UTF-8"),
        ("A=1\n".encode("utf-16-le"), ".env: is saved as UTF-16; save it as UTF-8"),
        (
            "A=1\nexport FANVUE_CLIENT_SECRET=gehe\u00fcm\n".encode("latin-1"),
            ".env: line 2 (FANVUE_CLIENT_SECRET) is not in UTF-8; save the file as UTF-8",
        ),
        (
            "# caf\u00e9\nA=1\n".encode("latin-1"),
            ".env: line 1 (a comment) is not in UTF-8; save the file as UTF-8",
        ),
        (b'A=1\nB="open\nC=2\n', ".env: line 2 cannot be read; write NAME=value, quotes closed"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_that_names_it(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content)

    with pytest.raises(Misconfigured) as caught:
        load_settings({}, file)

    assert caught.value.message == complaint


def test_a_file_of_an_editor_that_marks_utf_8_is_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    lines = "\r\n".join(f'{name}="{value}"' for name, value in COMPLETE.items())
    file.write_bytes(lines.encode("utf-8-sig"))

    assert load_settings({}, file) == load_settings(COMPLETE, None)


def test_all_problems_are_reported_at_once_one_line_each_without_values() -> None:
    broken = {
        "SUPABASE_URL": "ftp://made-up-host",
        "FANVUE_API_FAMILY": "v9-made-up",
        "TOKEN_ENCRYPTION_KEYS": "k1:bWFkZS11cC1zaG9ydA==",
        "WORKER_CONCURRENCY": "made-up-many",
        "UPSTASH_REDIS_REST_URL": "https://cache.test",
    }

    with pytest.raises(Misconfigured) as caught:
        load_settings(broken, None)

    lines = caught.value.message.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "SUPABASE_URL",
        "SUPABASE_SECRET_KEY",
        "FANVUE_CLIENT_ID",
        "FANVUE_CLIENT_SECRET",
        "FANVUE_API_FAMILY",
        "TOKEN_ENCRYPTION_KEYS",
        "UPSTASH_REDIS_REST_TOKEN",
        "WORKER_CONCURRENCY",
    ]
    assert all("; " in line for line in lines)
    assert "made-up" not in caught.value.message
    assert "bWFkZ" not in caught.value.message
    assert caught.value.exit_code == 2


def test_an_empty_value_means_unset() -> None:
    settings = load_settings(COMPLETE | {"WORKER_METRICS_PORT": "", "FANVUE_API_URL": " "}, None)

    assert settings.worker.metrics_port is None
    assert settings.fanvue.api_url == "https://api.fanvue.com"


def test_the_old_name_of_the_secret_key_is_accepted() -> None:
    old = without("SUPABASE_SECRET_KEY") | {"SUPABASE_SERVICE_ROLE_KEY": "old-style-key"}

    settings = load_settings(old, None)

    assert settings.supabase.secret_key.get_secret_value() == "old-style-key"


def test_the_process_wins_over_the_file_and_an_empty_process_value_does_not(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(
        "WORKER_CONCURRENCY=3\nWORKER_LOG_LEVEL=debug\nFANVUE_CLIENT_SECRET='with $dollar'\n"
    )
    environ = without("FANVUE_CLIENT_SECRET") | {
        "WORKER_CONCURRENCY": "5",
        "WORKER_LOG_LEVEL": "",
    }

    settings = load_settings(environ, dotenv)

    assert settings.worker.concurrency == 5
    assert settings.worker.log_level == "debug"
    assert settings.fanvue.client_secret.get_secret_value() == "with $dollar"


def test_a_missing_file_is_no_problem(tmp_path: Path) -> None:
    assert load_settings(COMPLETE, tmp_path / "absent").worker.concurrency == 8


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WORKER_CONCURRENCY", "11")

    assert load_settings(dotenv_path=None).worker.concurrency == 11


def test_a_command_loads_only_what_it_needs() -> None:
    settings = load_settings(
        without("FANVUE_CLIENT_ID", "TOKEN_ENCRYPTION_KEYS"), None, need={"supabase"}
    )

    assert settings.supabase.url
    with pytest.raises(Misconfigured, match="FANVUE_CLIENT_ID"):
        _ = settings.fanvue
    with pytest.raises(Misconfigured, match="TOKEN_ENCRYPTION_KEYS"):
        _ = settings.sealing


def test_settings_never_show_a_secret_and_know_them_all() -> None:
    settings = load_settings(
        COMPLETE
        | {
            "FANVUE_WEBHOOK_SECRETS": "whsec-made-up",
            "UPSTASH_REDIS_REST_URL": "https://cache.test",
            "UPSTASH_REDIS_REST_TOKEN": "cache-token-made-up",
        },
        None,
    )

    for secret in (*settings.secrets(), KEY, "k" * 32):
        assert secret not in repr(settings)
    assert set(settings.secrets()) >= {
        "sb_secret_made_up",
        "made-up-client-secret",
        "whsec-made-up",
        "cache-token-made-up",
    }


@pytest.mark.parametrize(
    "address", ["http://api.example.com", "https://user:pw@api.test", "https://a.test/?x=1", "x"]
)
def test_an_address_that_would_expose_secrets_is_refused(address: str) -> None:
    with pytest.raises(Misconfigured, match="FANVUE_API_URL"):
        load_settings(COMPLETE | {"FANVUE_API_URL": address}, None)


@pytest.mark.parametrize(
    "address", ["http://localhost:1", "http://10.1.2.3", "http://kong:8000", "https://a.test/base"]
)
def test_an_address_nearby_may_use_plain_http(address: str) -> None:
    settings = load_settings(COMPLETE | {"FANVUE_API_URL": address}, None)

    assert settings.fanvue.api_url == address


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ("nocolon", "id:base64"),
        (f"bad id:{KEY}", "key id"),
        ("k:!!!", "not base64"),
        (f"k:{KEY},k:{KEY}", "same id"),
        (",", "no key"),
    ],
)
def test_a_wrong_key_list_is_explained(keys: str, complaint: str) -> None:
    with pytest.raises(Misconfigured, match=complaint):
        load_settings(COMPLETE | {"TOKEN_ENCRYPTION_KEYS": keys}, None)


def test_settings_cannot_be_changed() -> None:
    settings = load_settings(COMPLETE, None)

    with pytest.raises(Exception, match="frozen"):
        settings.worker.concurrency = 9  # type: ignore[misc]  # the point of the test


def test_metrics_stay_on_this_machine_unless_told_otherwise_and_port_0_means_none() -> None:
    settings = load_settings(COMPLETE | {"WORKER_METRICS_PORT": "0"}, None)

    assert settings.worker.metrics_host == "127.0.0.1"
    assert not settings.worker.metrics_port


def test_the_address_of_alerts_is_a_secret() -> None:
    address = "https://chat.test/services/T0/B0/made-up-secret?thread=1"

    settings = load_settings(COMPLETE | {"ALERT_WEBHOOK_URL": f" {address} "}, None)

    assert address in settings.secrets()
    assert "made-up-secret" not in repr(settings)


@pytest.mark.parametrize(
    "address", ["http://chat.test/made-up-secret", "chat.test/made-up-secret", "ftp://chat.test/x"]
)
def test_alerts_do_not_travel_in_the_clear(address: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load_settings(COMPLETE | {"ALERT_WEBHOOK_URL": address}, None)

    assert caught.value.message.startswith("ALERT_WEBHOOK_URL: ")
    assert "made-up-secret" not in caught.value.message
