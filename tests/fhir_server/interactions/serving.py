"""The HTTP server as processes of their own, for tests that kill it or press it from several sides."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[3]


class Server:
    """``hie serve`` on a free port, killed with all its processes and started again."""

    def __init__(self, database_url: str, var_dir: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._environment = {
            **os.environ,
            "HIE_DATABASE_URL": database_url,
            "HIE_PORT": str(self.port),
            "HIE_VAR_DIR": str(var_dir),
            "HIE_WEB_PROCESSES": "2",
        }
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "hie", "serve"], cwd=ROOT, env=self._environment, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        """End the server and its workers without a chance to finish anything, and start it again."""
        self._end(signal.SIGKILL)
        self._process = self._start()

    def stop(self) -> None:
        """End it for good."""
        self._end(signal.SIGKILL)

    def wait(self) -> None:
        """Return when it answers."""
        for _ in range(600):
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=10).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise TimeoutError("the server does not answer after 60 s")

    def __enter__(self) -> Self:
        """Return the server itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it for good."""
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        processes = [psutil.Process(self._process.pid)]
        processes += processes[0].children(recursive=True)
        for process in processes:
            process.send_signal(how)
        self._process.wait()
        psutil.wait_procs(processes[1:], timeout=10)
