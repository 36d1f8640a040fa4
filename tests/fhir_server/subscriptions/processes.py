"""`hie serve` and `hie worker` as processes of their own."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.environment import laboratory


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def running(
    command: str, folder: Path, database_url: str, settings: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``hie command`` until the block ends, with `settings` as variables."""
    environment = laboratory(HIE_DATABASE_URL=database_url, HIE_VAR_DIR=str(folder), **settings)
    with (folder / f"{command}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hie", command], env=environment, cwd=folder, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


@contextmanager
def serving(folder: Path, database_url: str, settings: Mapping[str, str]) -> Iterator[str]:
    """Run ``hie serve`` on a free port and yield its FHIR base URL when it answers."""
    port = free_port()
    with running("serve", folder, database_url, {**settings, "HIE_PORT": str(port)}):
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, (folder / "serve.log").read_text(encoding="utf-8")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/fhir"
