"""A made-up machine: its package manager, rights and room are fakes on a search path of their own.

Nothing of the real system is looked at, asked or installed, and nothing leaves the machine.
"""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from pathlib import Path

from tests.support.postgres import PROJECT


FAKES = Path(__file__).with_name("fakes")
# What set-up may count on everywhere.
TOOLS = (
    *(
        "awk",
        "bash",
        "cat",
        "chmod",
        "cksum",
        "cp",
        "dirname",
        "env",
        "find",
        "flock",
        "fold",
        "grep",
    ),
    *("ln", "ls", "mkdir", "pwd", "rm", "sed", "sh", "sleep", "sort", "tail", "touch", "tr"),
    *("xargs",),
)
COPIED = (
    *("scripts", "pyproject.toml", "requirements.lock", "requirements-dev.lock"),
    *("package.json", "package-lock.json"),
    *("examples/dashboard/package.json", "examples/dashboard/package-lock.json"),
)
QUESTIONS = ("--print-uris", "install -s", "sudo -n")
TESTERS = (
    *("shellcheck", "prometheus", "chromium", "fonts-liberation"),
    "libtap-parser-sourcehandler-pgtap-perl",
)


class Machine:
    """One machine; the methods change it before set-up runs."""

    def __init__(self, tmp_path: Path) -> None:
        self.fake, self.root = tmp_path / "fake", tmp_path / "root"
        self.folder = tmp_path / "fän vue"
        self.bin = self.fake / "bin"
        self.bin.mkdir(parents=True)
        for place in ("usr/sbin", "etc", "lib64"):
            (self.root / place).mkdir(parents=True)
        (self.root / "lib64" / "ld-linux-x86-64.so.2").touch()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (self.bin / tool).symlink_to(found)
        for name in ("apt-get", "apt-cache", "sudo"):
            shutil.copy(FAKES / name, self.bin)
        for name in ("python", "uv", "node"):
            shutil.copy(FAKES / name, self.fake)
        for name in COPIED:
            self._copy(name)
        self.program("uname", "case $1 in -m) echo x86_64 ;; *) echo Linux ;; esac")
        self.program("dpkg", 'echo "dpkg $*" >>"$FAKE/calls"')
        self.is_root()
        self.has_room(100_000)
        self.release("debian", "13", postgres=17, python="3.13.5")

    def _copy(self, name: str) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, target)
        else:
            shutil.copy(PROJECT / name, target)

    def program(self, name: str, text: str = "") -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def without(self, *names: str) -> None:
        for name in names:
            (self.bin / name).unlink()

    def is_root(self, *, yes: bool = True) -> None:
        self.program("id", f"echo {0 if yes else 1000}")

    def has_room(self, megabytes: int) -> None:
        self.program("df", f"echo head; echo disk 0 0 {megabytes * 1000} 0 /")

    def release(self, name: str, version: str, *, postgres: int, python: str) -> None:
        """Say which distribution it is, and what its packages are; apt has no lists yet."""
        (self.root / "etc" / "os-release").write_text(f'ID={name}\nVERSION_ID="{version}"\n')
        server = f"postgresql-{postgres}"
        lines = [f"postgresql depends {server}"]
        names = [server, *(f"{server}-{part}" for part in ("cron", "pgtap", "plpgsql-check"))]
        lines += [f"{package} 1.0" for package in (*names, "redis-server", *TESTERS)]
        lines += [f"{package} {python}-1" for package in ("python3", "python3-venv")]
        (self.fake / "available").write_text("\n".join(lines) + "\n")

    def offers(self, *packages: str) -> None:
        with (self.fake / "available").open("a") as file:
            file.writelines(f"{package} 1.0\n" for package in packages)

    def offers_no(self, *packages: str) -> None:
        file = self.fake / "available"
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if line.split()[0] not in packages))

    def knows_packages(self) -> None:
        (self.fake / "lists").touch()

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.bin / "bash"), "scripts/setup.sh", *words],
            cwd=self.folder,
            env=self._environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def set_up(self, *words: str, **env: str) -> tuple[int, str]:
        """Run set-up without a terminal; its exit code and all it said."""
        process = self.start(*words, **env)
        said, _ = process.communicate()
        return process.returncode, said

    def on_terminal(self, *words: str, answer: str = "", **env: str) -> tuple[int, str]:
        """Run set-up on a terminal on which the answer is typed already."""
        ours, theirs = pty.openpty()
        os.write(ours, answer.encode())
        process = subprocess.Popen(
            [str(self.bin / "bash"), "scripts/setup.sh", *words],
            cwd=self.folder,
            env=self._environment(env),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        said = b""
        while chunk := _read(ours):
            said += chunk
        os.close(ours)
        return process.wait(), said.decode()

    @property
    def calls(self) -> list[str]:
        """What was asked of the fakes, less apt's questions that change nothing."""
        file = self.fake / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if not any(question in line for question in QUESTIONS)]

    @property
    def installed(self) -> list[str]:
        """The packages of each installation."""
        return [
            " ".join(call.split("policy-rc.d'")[-1].strip("' ").split())
            for call in self.calls
            if call.startswith("apt-get install")
        ]

    def forget_calls(self) -> None:
        (self.fake / "calls").unlink(missing_ok=True)

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        return {
            "PATH": str(self.bin),
            "FSE_SETUP_ROOT": str(self.root),
            "FAKE": str(self.fake),
            "TERM": "dumb",
        } | more


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that the other side has gone
        return b""
