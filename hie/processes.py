"""Child processes of one `hie` command: started together, stopped together.

Each child is `hie` itself with a sub-command, so that what runs under
`hie up` is what runs under systemd or Kubernetes. This is no service manager:
a child that dies is started again a few times, then everything stops with its
name and the end of its log.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from hie.core.errors import ConfigurationError

STOP_SECONDS = 20.0
RESTARTS = 5

_PARENT = "HIE_PARENT_PID"
_PR_SET_PDEATHSIG = 1  # prctl(2)


def lead() -> None:
    """Let the processes that this one starts, and that call `follow_parent`, end with it."""
    os.environ[_PARENT] = str(os.getpid())


def follow_parent() -> None:
    """End with the process that started this one, also when that was killed; a no-op where none leads."""
    parent = os.environ.pop(_PARENT, None)
    if parent is None:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(1)


def when_asked_to_end(stop: Callable[[], None]) -> None:
    """Have the first SIGTERM or SIGINT call `stop` in the main thread, which may take locks of its own.

    The kernel may send several, as when each thread of the parent ends; a handler that runs within a handler
    would wait for the lock that the outer one holds. All but the first therefore do nothing.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, _do_nothing)
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    pass


@dataclass(slots=True)
class Child:
    """One process: its name, its command line after `hie`, its log file (None: this terminal)."""

    name: str
    arguments: Sequence[str]
    log: Path | None = None
    restarts: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C reaches it only through `stop`."""
        command = [sys.executable, "-m", "hie", *self.arguments]
        environment = {**os.environ, _PARENT: str(os.getpid())}
        if self.log is None:
            self._open(command, environment, None)
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as file:
            self._open(command, environment, file)

    def _open(self, command: list[str], environment: dict[str, str], output: IO[bytes] | None) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            start_new_session=True,
        )


class Supervisor:
    """Runs children until a signal arrives or one of them keeps dying."""

    def __init__(self, children: Sequence[Child], *, note: Callable[[str], None]) -> None:
        """Take the children in start order; `note` prints a line to the operator."""
        self.children = list(children)
        self.note = note
        self.is_stopping = False

    def start(self) -> None:
        """Start every child; SIGINT and SIGTERM set `is_stopping` from here on."""
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)
        for child in self.children:
            child.start()

    def check(self) -> str | None:
        """Start dead children again; return the reason to give up, if there is one."""
        for child in self.children:
            if child.process is None or child.process.poll() is None or self.is_stopping:
                continue
            child.restarts += 1
            where = f"; its log is {child.log}" if child.log else ""
            if child.restarts > RESTARTS:
                status = child.process.returncode
                return f"{child.name} ended {child.restarts} times, last with status {status}{where}"
            self.note(
                f"{child.name} ended with status {child.process.returncode} and is started again{where}"
            )
            child.start()
        return None

    def watch(self, revive: Callable[[], None] | None = None) -> str | None:
        """Wait until a signal arrives or a child keeps dying; return the reason in the latter case.

        `revive` is called every second, for what must run and is no child.
        """
        reason = None
        turn = 0
        while not self.is_stopping and reason is None:
            time.sleep(0.2)
            turn += 1
            if revive is not None and turn % 5 == 0:
                revive()
            reason = self.check()
        return reason

    def stop(self) -> None:
        """Ask every child to end, last started first, and kill what has not ended in time."""
        for child in reversed(self.children):
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self.children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.note(f"{child.name} did not end within {STOP_SECONDS:.0f} s and is killed")
                os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.is_stopping = True


def require_free(host: str, port: int, what: str, variable: str) -> None:
    """Raise ConfigurationError when something already listens on `host`:`port`."""
    with socket.socket() as probe:
        if probe.connect_ex((host, port)) == 0:
            raise ConfigurationError(
                f"{what} port {port} on {host} is taken; stop what listens there or set {variable}"
            )


def wait_until_listening(
    supervisor: Supervisor, addresses: Sequence[tuple[str, int]], *, seconds: float = 60.0
) -> str | None:
    """Wait until every address accepts connections; return the reason if that does not happen."""
    deadline = time.monotonic() + seconds
    for host, port in addresses:
        while not supervisor.is_stopping:
            with socket.socket() as probe:
                if probe.connect_ex((host, port)) == 0:
                    break
            reason = supervisor.check()
            if reason:
                return reason
            if time.monotonic() > deadline:
                return f"nothing listens on {host}:{port} after {seconds:.0f} s; see the logs"
            time.sleep(0.05)
    return None
