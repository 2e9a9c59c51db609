"""What cannot work is refused before anything is installed, with the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.setup.machine import Machine


if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def refused(machine: Machine, mode: str = "demo") -> str:
    """Run set-up, see that it refuses and installs nothing, and return its reason."""
    code, said = machine.set_up(mode)

    assert code == 1, said
    assert machine.installed == []
    assert not (machine.folder / ".venv").exists()
    return said


def test_packages_lack_and_there_is_neither_root_nor_sudo(machine: Machine) -> None:
    machine.is_root(yes=False)
    machine.without("sudo")
    machine.knows_packages()

    said = refused(machine)

    assert "this needs root, and there is no sudo" in said
    # Ready to paste for whoever is root.
    assert "apt-get install -y --no-install-recommends postgresql-17 postgresql-17-cron" in said
    assert machine.calls == []


def test_sudo_wants_a_password_and_nobody_is_there(machine: Machine) -> None:
    machine.is_root(yes=False)
    (machine.fake / "sudo-asks").touch()

    assert "sudo asks for a password" in refused(machine)
    assert machine.calls == []


def test_sudo_wants_a_password_and_somebody_is_there(machine: Machine) -> None:
    machine.is_root(yes=False)
    (machine.fake / "sudo-asks").touch()

    assert machine.on_terminal("demo", answer="y\n")[0] == 0


def test_without_apt_each_thing_is_named_with_where_it_comes_from(machine: Machine) -> None:
    machine.without("apt-get", "apt-cache", "sudo")
    machine.program("uname", "case $1 in -m) echo arm64 ;; *) echo Darwin ;; esac")

    said = refused(machine, "test")

    for words in (
        *("brew install postgresql@17", "brew install pg_cron", "brew install redis"),
        *("brew install python@", "brew install shellcheck", "brew install prometheus"),
        *("brew install postgrest",),
    ):
        assert words in said


def test_a_mac_with_everything_needs_no_apt(machine: Machine) -> None:
    machine.without("apt-get", "apt-cache", "sudo")
    machine.program("uname", "case $1 in -m) echo arm64 ;; *) echo Darwin ;; esac")
    brew = machine.root / "opt" / "homebrew"
    (brew / "opt" / "postgresql@17" / "bin").mkdir(parents=True)
    (brew / "share" / "postgresql@17" / "extension").mkdir(parents=True)
    (brew / "share" / "postgresql@17" / "extension" / "pg_cron.control").touch()
    initdb = brew / "opt" / "postgresql@17" / "bin" / "initdb"
    initdb.write_text("#!/bin/sh\n")
    initdb.chmod(0o755)
    machine.program("redis-server")
    machine.program("postgrest", "echo PostgREST 12.2.8")
    machine.program("python3.13", (machine.fake / "python").read_text())

    code, said = machine.set_up("demo")

    assert code == 0, said
    assert machine.installed == []


@pytest.mark.parametrize(
    ("release", "postgres"), [("ubuntu 22.04", 14), ("debian 11", 13)], ids=["ubuntu", "debian"]
)
@pytest.mark.parametrize("lists", [True, False], ids=["lists", "no lists"])
def test_a_distribution_with_an_old_postgres(
    machine: Machine, release: str, postgres: int, *, lists: bool
) -> None:
    machine.release(*release.split(), postgres=postgres, python="3.10.6")
    if lists:
        machine.knows_packages()

    said = refused(machine)

    assert f"{release} has no PostgreSQL of 15 or newer" in said
    assert "PostgreSQL project's own packages" in said
    assert machine.calls == []


def test_an_old_distribution_with_packages_of_the_postgres_project(machine: Machine) -> None:
    machine.release("ubuntu", "22.04", postgres=14, python="3.10.6")
    machine.offers("postgresql-16", "postgresql-18", "postgresql-18-cron")
    machine.offers("python3.11", "python3.11-venv")
    machine.knows_packages()

    code, said = machine.set_up("demo")

    assert code == 0, said
    assert machine.installed == [
        "postgresql-18 postgresql-18-cron redis-server python3.11 python3.11-venv"
    ]


def test_an_unknown_distribution_with_an_old_postgres(machine: Machine) -> None:
    machine.release("somebuntu", "1", postgres=14, python="3.12.1")

    assert "no PostgreSQL of 15 or newer" in refused(machine)
    assert [call.split(" -")[0] for call in machine.calls] == ["apt-get update"]


def test_a_python_that_is_too_old(machine: Machine) -> None:
    machine.release("somebuntu", "1", postgres=16, python="3.10.6")

    assert "no Python of 3.11 or newer" in refused(machine)


def test_a_package_that_apt_does_not_know(machine: Machine) -> None:
    machine.offers_no("redis-server")

    assert "apt has no package for: redis (on Ubuntu" in refused(machine)


def test_too_little_room(machine: Machine) -> None:
    machine.has_room(300)

    assert "300 MB are free, about" in refused(machine)
    assert machine.calls == []


@pytest.mark.parametrize(
    ("system", "processor", "reason"),
    [
        ("Linux", "riscv64", "x86-64 and 64-bit ARM only"),
        ("Linux", "i686", "x86-64 and 64-bit ARM only"),
        ("MINGW64_NT-10.0", "x86_64", "WSL 2"),
    ],
)
def test_a_machine_for_which_there_are_no_programs(
    machine: Machine, system: str, processor: str, reason: str
) -> None:
    machine.program("uname", f"case $1 in -m) echo {processor} ;; *) echo {system} ;; esac")

    assert reason in refused(machine)
    assert machine.calls == []


@pytest.mark.parametrize("installed", [None, "echo PostgREST 11.2.2"], ids=["none", "old"])
def test_an_arm_without_a_postgrest_that_will_do(machine: Machine, installed: str | None) -> None:
    machine.program("uname", "case $1 in -m) echo aarch64 ;; *) echo Linux ;; esac")
    if installed is not None:
        machine.program("postgrest", installed)

    said = refused(machine)

    assert "PostgREST 12 or newer is missing" in said
    assert "PostgREST/postgrest/releases" in said
    assert machine.calls == []


def test_a_linux_without_glibc(machine: Machine) -> None:
    (machine.root / "lib64" / "ld-linux-x86-64.so.2").unlink()
    (machine.root / "lib64" / "ld-musl-x86_64.so.1").touch()

    assert "no glibc" in refused(machine)


def test_ubuntus_chromium_is_found_under_its_own_name(machine: Machine) -> None:
    machine.release("ubuntu", "24.04", postgres=16, python="3.12.3")
    machine.offers_no("chromium")
    machine.offers("chromium-browser")

    code, said = machine.set_up("test")

    assert code == 0, said
    assert "chromium-browser fonts-liberation" in machine.installed[0]
    assert "postgresql-16-cron" in machine.installed[0]


@pytest.mark.parametrize(
    ("version", "postgres", "python"),
    [("12", 15, "3.11.2"), ("13", 17, "3.13.5"), ("", 18, "3.14.1")],
)
def test_the_extensions_follow_the_distributions_postgres(
    machine: Machine, version: str, postgres: int, python: str
) -> None:
    machine.release("debian", version, postgres=postgres, python=python)

    assert machine.set_up("demo")[0] == 0
    assert f"postgresql-{postgres} postgresql-{postgres}-cron" in machine.installed[0]


def test_an_installed_server_without_a_package_of_pg_cron_gets_one_beside_it(
    machine: Machine,
) -> None:
    server = machine.root / "usr" / "lib" / "postgresql" / "16" / "bin" / "initdb"
    server.parent.mkdir(parents=True)
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)

    assert machine.set_up("demo")[0] == 0
    assert machine.installed[0].startswith("postgresql-17 postgresql-17-cron ")


def test_an_unknown_part_is_named(machine: Machine) -> None:
    code, said = machine.set_up("kitchen")

    assert (code, machine.calls) == (1, [])
    assert 'unknown part "kitchen"' in said
