"""The demo's stage: starts the stack, the simulated Fanvue and the workers, and stops them all.

Every process is recorded by the instance and stopped by its pid, by the next demo at the latest
when this one was killed. Closing twice is harmless.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx

from local.dashboard import NAME as DASHBOARD
from local.dashboard import Dashboard
from local.demo.program import COMMAND, Program
from local.demo.world import newcomers, write_world
from local.errors import StackError, log_excerpt
from local.ports import HOST, is_free
from local.processes import wait_until
from local.programs import PROJECT
from local.stack import Stack
from simulator.client import SimulatorControl


if TYPE_CHECKING:
    from typing import IO


DIRECTORY: Final = PROJECT / ".local" / "demo"
PORT: Final = 26321
# Above the block of the stack's own.
DASHBOARD_PORT: Final = 26390
FANVUE: Final = "fanvue"
RECEIVER: Final = "fanvue-webhook"
WORKERS: Final = ("worker-1", "worker-2")
START_SECONDS: Final = 20.0
CONNECTING_AT_ONCE: Final = 4
EMAIL: Final = "owner@example.com"


@dataclass(frozen=True, slots=True)
class Login:
    """The demo's user, owner of every agency."""

    email: str
    password: str


class Stage:
    """The demo's processes."""

    def __init__(self) -> None:
        self.stack = Stack(DIRECTORY, port=PORT, volatile=True)
        self._processes = self.stack.instance.processes
        self._lock: IO[str] | None = None
        self._fanvue: SimulatorControl | None = None
        self._program: Program | None = None
        self.dashboard_url = ""

    @property
    def fanvue(self) -> SimulatorControl:
        """Return the simulated Fanvue's control; only once it runs."""
        if self._fanvue is None:
            raise StackError("the simulated Fanvue does not run")
        return self._fanvue

    @property
    def program(self) -> Program:
        """Return `fanvue-sync` with the stack's settings; only once the stack is up."""
        if self._program is None:
            raise StackError("the stack is not up")
        return self._program

    def claim(self) -> None:
        """Make sure that this is the only demo, and clear away what a killed one left."""
        DIRECTORY.parent.mkdir(parents=True, exist_ok=True)
        # Beside the directory, which is emptied.
        lock = DIRECTORY.with_suffix(".lock").open("w", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise StackError("a demo runs already: stop it with Ctrl-C first") from None
        self._lock = lock
        self._stop_processes()
        self.stack.down(reset=True)

    def start_services(self) -> None:
        """Start the stack, the simulated Fanvue and the dashboard."""
        url = f"http://{HOST}:{_free_port()}"
        port = DASHBOARD_PORT if is_free(DASHBOARD_PORT) else _free_port()
        self.dashboard_url = f"http://{HOST}:{port}"
        self.stack = Stack(
            DIRECTORY,
            port=PORT,
            volatile=True,
            fanvue_url=url,
            dashboard_url=self.dashboard_url,
        )
        self._processes = self.stack.instance.processes
        settings = self.stack.up().env
        self.stack.query("update private.sync_streams set every = '1 minute'")
        self._program = Program(settings | {"WORKER_SHUTDOWN_SECONDS": "8"}, DIRECTORY)
        self._start_fanvue(url, settings)
        Dashboard(self.stack.instance, port).start(settings)

    def _start_fanvue(self, url: str, settings: dict[str, str]) -> None:
        world = write_world(self.stack.instance.file("world.json"))
        port = url.rpartition(":")[2]
        self._processes.start(
            FANVUE,
            [sys.executable, "-m", "simulator", "--port", port, "--world", str(world)],
            env=self.program.environment,
            cwd=PROJECT,
        )
        control = SimulatorControl(url)
        if not wait_until(lambda: _answers(control), START_SECONDS):
            log = self._processes.log(FANVUE)
            raise StackError(f"the simulated Fanvue did not start; {log_excerpt(log)}")
        self._fanvue = control
        # Before anybody listens: this is the past.
        control.happen(*newcomers(self.histories()))
        control.add_client(settings["FANVUE_CLIENT_ID"], settings["FANVUE_CLIENT_SECRET"])
        secret = settings["FANVUE_WEBHOOK_SECRETS"].partition(",")[0]
        control.set_webhook_target(f"{settings['SUPABASE_URL']}/functions/v1/{RECEIVER}", secret)

    def histories(self) -> dict[str, int]:
        """Return how many sales each creator has, by the creator's uuid."""
        return {
            one["uuid"]: int(one["transactions"])
            for agency in self._agencies()
            for one in agency["creators"]
        }

    def connect_creators(self) -> None:
        """Connect every creator through the program.

        The last agency's come with one grant of its administrator, the others with their own.
        """
        *others, last = self._agencies()
        orders = [partial(self._connect_agency, last)]
        for agency in others:
            orders += [partial(self._connect, agency["name"], one) for one in agency["creators"]]
        with ThreadPoolExecutor(max_workers=CONNECTING_AT_ONCE) as pool:
            for done in [pool.submit(order) for order in orders]:
                done.result()

    def _agencies(self) -> list[dict[str, Any]]:
        return list(self.fanvue.world()["agencies"])

    def _connect(self, agency: str, creator: dict[str, Any]) -> None:
        client = self.program.environment["FANVUE_CLIENT_ID"]
        grant = self.fanvue.grant(creator["uuid"], client_id=client)
        names = ("--agency", agency, "--creator-uuid", creator["uuid"])
        self.program.json(
            *("connect", *names, "--handle", creator["handle"], "--refresh-token", "-"),
            stdin=grant.refresh_token or "",
        )

    def _connect_agency(self, agency: dict[str, Any]) -> None:
        client = self.program.environment["FANVUE_CLIENT_ID"]
        grant = self.fanvue.agency_grant(agency["name"], client_id=client)
        names = ("--agency", agency["name"], "--user-uuid", agency["owner_uuid"])
        lives = ("--access-token", grant.access_token, "--expires-in", str(grant.expires_in))
        self.program.json(
            *("connect-agency", *names, *lives, "--refresh-token", "-"),
            stdin=grant.refresh_token or "",
        )

    def sign_up(self) -> Login:
        """Create a user who owns every agency."""
        login = Login(EMAIL, secrets.token_urlsafe(9))
        settings = self.stack.env()
        answer = httpx.post(
            f"{settings['SUPABASE_URL']}/auth/v1/signup",
            headers={"apikey": settings["SUPABASE_PUBLISHABLE_KEY"]},
            json={"email": login.email, "password": login.password},
            timeout=START_SECONDS,
        )
        if answer.is_error:
            raise StackError(f"the demo's user could not sign up: {answer.status_code}")
        # Nobody else has signed up in a stack that is new.
        self.stack.query(
            "insert into public.agency_members (agency_id, user_id, role) "
            "select a.id, u.id, 'owner' from public.agencies a, auth.users u"
        )
        return login

    def start_workers(self) -> None:
        """Start the workers."""
        for name in WORKERS:
            self._processes.start(
                name, [*COMMAND, "run", "--json"], env=self.program.environment, cwd=DIRECTORY
            )

    def check_workers(self) -> None:
        """Fail when a worker is gone."""
        for name in WORKERS:
            if self._processes.find(name) is None:
                raise StackError(f"{name} stopped; {log_excerpt(self._processes.log(name))}")

    def worker_summaries(self) -> list[dict[str, Any]]:
        """Return what the stopped workers said of their runs, the last line of each log."""
        summaries = []
        for name in WORKERS:
            lines = self._processes.log(name).read_text(encoding="utf-8").splitlines()
            summary = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
            if "pickup_ms" not in summary:
                raise StackError(
                    f"{name} did not end well; {log_excerpt(self._processes.log(name))}"
                )
            summaries.append(summary)
        return summaries

    def stop_workers(self) -> None:
        """Stop the workers; they hand back what they hold."""
        with ThreadPoolExecutor(max_workers=len(WORKERS)) as pool:
            list(pool.map(self._processes.stop, WORKERS))

    def close(self) -> None:
        """Stop everything that this demo started."""
        if self._lock is None:
            return
        self._stop_processes()
        self.stack.down()
        if self._fanvue is not None:
            self._fanvue.close()
            self._fanvue = None
        self._lock.close()
        self._lock = None

    def _stop_processes(self) -> None:
        self.stop_workers()
        self._processes.stop(FANVUE)
        self._processes.stop(DASHBOARD)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(control: SimulatorControl) -> bool:
    try:
        control.clock()
    except httpx.HTTPError:
        return False
    return True
