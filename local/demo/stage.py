"""The demo's stage: starts the stack, the simulated Fanvue and the workers, and stops them all.

Every process is recorded by the instance and stopped by its pid, by the next demo at the latest
when this one was killed. Closing twice is harmless. No time limit of the product is met because the
machine is slow: those that a demo can set are generous.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from local import realtime
from local.dashboard import NAME as DASHBOARD
from local.demo.pace import Pacer
from local.demo.page import Page
from local.demo.program import COMMAND, Program
from local.demo.world import newcomers, write_world
from local.errors import StackError, log_excerpt
from local.ports import HOST, is_free, reserve_ports
from local.programs import PROJECT
from local.stack import Stack
from simulator.client import SimulatorControl


if TYPE_CHECKING:
    from typing import IO

    from local.demo.waiting import Patience


DIRECTORY: Final = PROJECT / ".local" / "demo"
PORT: Final = 26321
# In the stack's block of ports, above its pieces.
DASHBOARD_OFFSET: Final = 69
FANVUE_OFFSET: Final = 70
FANVUE: Final = "fanvue"
RECEIVER: Final = "fanvue-webhook"
WORKERS: Final = ("worker-1", "worker-2")
# Ends a hang alone.
REQUEST_SECONDS: Final = 300.0
SETTINGS: Final = {
    "WORKER_SHUTDOWN_SECONDS": "8",
    # Alone pg_cron keeps the schedule, which is promised of it.
    "WORKER_TICK_SECONDS": "3600",
    "WORKER_SLICE_SECONDS": "3600",
    "WORKER_LEASE_SECONDS": "600",
    "FANVUE_TIMEOUT_SECONDS": "120",
}
# Months are read in a minute and every message is listened to: more than the smallest plan of
# Supabase lets through on a fast machine, and less than the next one does.
PLAN: Final = {"eventsPerSecond": 500}
# Polls every minute; and no longer, so that what is left can be read to its end.
EVERY_MINUTE: Final = "update private.sync_streams set every = '1 minute'"
ALL_THAT_IS_DUE: Final = "select public.enqueue_due('operator')"
NO_MORE_TICKS: Final = (
    "select cron.alter_job(j.jobid, active := false) from cron.job j "
    "where j.jobname in ('fanvue-enqueue-due', 'fanvue-reconcile-nightly')"
)
# Of all that a worker prints only its last line says this.
SUMMARY: Final = '"pickup_ms"'
EMAIL: Final = "owner@example.com"


@dataclass(frozen=True, slots=True)
class Login:
    """The demo's user, owner of every agency."""

    email: str
    password: str


class Stage:
    """The demo's processes."""

    def __init__(self, patience: Patience) -> None:
        self.stack = Stack(DIRECTORY, port=PORT, volatile=True)
        self._patience = patience
        self._processes = self.stack.instance.processes
        self._lock: IO[str] | None = None
        self._fanvue: SimulatorControl | None = None
        self._program: Program | None = None
        self._pacer: Pacer | None = None
        self._page: Page | None = None
        self._block = PORT

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

    @property
    def page(self) -> Page:
        """Return the dashboard; only once the stage is claimed."""
        if self._page is None:
            raise StackError("the dashboard was not asked for")
        return self._page

    @property
    def pacer(self) -> Pacer:
        """Return what measures the machine; only once the stack is up."""
        if self._pacer is None:
            raise StackError("the stack is not up")
        return self._pacer

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
        # The whole block is this demo's from now on: another one, in another clone, takes the next.
        self._block = reserve_ports(PORT, self.stack.instance.directory).gateway
        self._page = Page(self.stack.instance, self._port(DASHBOARD_OFFSET))

    def _port(self, offset: int) -> int:
        """Return a port of the block, or any other where a stranger has taken it."""
        return self._block + offset if is_free(self._block + offset) else _free_port()

    def start_services(self) -> None:
        """Start the stack and the simulated Fanvue, side by side."""
        url = f"http://{HOST}:{self._port(FANVUE_OFFSET)}"
        self.stack = Stack(
            DIRECTORY, port=self._block, volatile=True, fanvue_url=url, dashboard_url=self.page.url
        )
        self._processes = self.stack.instance.processes
        self._start_fanvue(url)
        os.environ.setdefault(realtime.SETTINGS, json.dumps(PLAN))
        settings = self.stack.up().env
        self._patience.heed()
        self.stack.query(EVERY_MINUTE)
        self._program = Program(settings | SETTINGS, DIRECTORY, self._patience)
        self._pacer = Pacer(settings)
        self._pacer.start()
        self._meet_fanvue(url, settings)

    def _start_fanvue(self, url: str) -> None:
        """Let it load; it needs nothing of ours."""
        world = write_world(self.stack.instance.file("world.json"))
        port = url.rpartition(":")[2]
        self._processes.start(
            FANVUE,
            [sys.executable, "-m", "simulator", "--port", port, "--world", str(world)],
            cwd=PROJECT,
        )

    def _meet_fanvue(self, url: str, settings: dict[str, str]) -> None:
        control = SimulatorControl(url, _Unhurried())
        log = self._processes.log(FANVUE)

        def settled() -> bool:
            return self._processes.find(FANVUE) is None or _answers(control)

        self._patience.need(settled, "the simulated Fanvue", str(log))
        if self._processes.find(FANVUE) is None:
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
        """Connect every creator through the program; that begins with their money.

        The last agency's come with one grant of its administrator, the others with their own.
        """
        *others, last = self._agencies()
        orders = [self._connecting_agency(last)]
        for agency in others:
            orders += [self._connecting(agency["name"], one) for one in agency["creators"]]
        self.program.several("the creators to be connected", orders)

    def _agencies(self) -> list[dict[str, Any]]:
        return list(self.fanvue.world()["agencies"])

    def _connecting(self, agency: str, creator: dict[str, Any]) -> tuple[list[str], str]:
        client = self.program.environment["FANVUE_CLIENT_ID"]
        grant = self.fanvue.grant(creator["uuid"], client_id=client)
        names = ("--agency", agency, "--creator-uuid", creator["uuid"])
        words = ["connect", *names, "--handle", creator["handle"], "--refresh-token", "-", "--yes"]
        return words, grant.refresh_token or ""

    def _connecting_agency(self, agency: dict[str, Any]) -> tuple[list[str], str]:
        client = self.program.environment["FANVUE_CLIENT_ID"]
        grant = self.fanvue.agency_grant(agency["name"], client_id=client)
        names = ("--agency", agency["name"], "--user-uuid", agency["owner_uuid"])
        lives = ("--access-token", grant.access_token, "--expires-in", str(grant.expires_in))
        words = ["connect-agency", *names, *lives, "--refresh-token", "-", "--yes"]
        return words, grant.refresh_token or ""

    def sign_up(self) -> Login:
        """Create the user."""
        login = Login(EMAIL, secrets.token_urlsafe(9))
        settings = self.stack.env()
        answer = httpx.post(
            f"{settings['SUPABASE_URL']}/auth/v1/admin/users",
            headers={"apikey": settings["SUPABASE_SECRET_KEY"]},
            json={"email": login.email, "password": login.password, "email_confirm": True},
            timeout=REQUEST_SECONDS,
        )
        if answer.is_error:
            raise StackError(f"the demo's user could not be made: {answer.status_code}")
        return login

    def let_in(self) -> None:
        """Make the user an owner of every agency; nobody else has signed up in a new stack."""
        self.stack.query(
            "insert into public.agency_members (agency_id, user_id, role) "
            "select a.id, u.id, 'owner' from public.agencies a, auth.users u"
        )

    def start_workers(self) -> None:
        """Start the workers."""
        for name in WORKERS:
            self._processes.start(
                name, [*COMMAND, "run", "--json"], env=self.program.environment, cwd=DIRECTORY
            )

    def lost_worker(self) -> bool:
        """Tell whether a worker is gone."""
        return any(self._processes.find(name) is None for name in WORKERS)

    def check_workers(self) -> None:
        """Fail when a worker is gone."""
        for name in WORKERS:
            if self._processes.find(name) is None:
                raise StackError(f"{name} stopped; {log_excerpt(self._processes.log(name))}")

    def read_all(self) -> None:
        """Ask for everything that is due; the next minute's tick would."""
        self.stack.query(ALL_THAT_IS_DUE)

    def stop_ticks(self) -> None:
        """Let pg_cron ask for no more polls; whoever is slow would never be done with them."""
        self.stack.query(NO_MORE_TICKS)

    def worker_summaries(self) -> list[dict[str, Any]]:
        """Return what the workers said of each of their runs when they stopped."""
        summaries = []
        for name in WORKERS:
            lines = self._processes.log(name).read_text(encoding="utf-8").splitlines()
            told = [json.loads(line) for line in lines if SUMMARY in line]
            if not lines or SUMMARY not in lines[-1]:
                raise StackError(
                    f"{name} did not end well; {log_excerpt(self._processes.log(name))}"
                )
            summaries += told
        return summaries

    def stop_workers(self, patience: float = 10.0) -> None:
        """Stop the workers; they hand back what they hold."""

        def stop(name: str) -> None:
            record = self._processes.find(name)
            if record is not None:
                record.stop(patience=patience)
            self._processes.stop(name)

        with ThreadPoolExecutor(max_workers=len(WORKERS)) as pool:
            list(pool.map(stop, WORKERS))

    def close(self) -> None:
        """Stop everything that this demo started."""
        if self._lock is None:
            return
        if self._page is not None:
            self._page.close()
        if self._pacer is not None:
            self._pacer.stop()
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


class _Unhurried(httpx.Client):
    """Gives every call the same long time."""

    def request(self, *words: Any, **more: Any) -> httpx.Response:
        """Ask."""
        return super().request(*words, **more | {"timeout": REQUEST_SECONDS})


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
