"""What streaming the WAL into a folder, and summarizing it, costs the gateway; how long a backup takes.

The gateway's own benchmark, alternately with and without, on one embedded server and the same cores.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hie.core.clock import SystemClock
from hie.core.db import embedded
from hie.core.db.backup.folder import Folder
from hie.core.db.backup.making import Contents, ask, make
from hie.core.db.backup.restoring import restore
from hie.core.db.backup.tools import find
from hie.core.db.backup.verification import verify
from hie.core.db.backup.wal import SLOT
from tests.benchmarks import bench_gateway

MESSAGES = {"small": 1_500, "full": 30_000}
ROUNDS = {"small": 1, "full": 2}
FOLDER = bench_gateway.FOLDER / "backup"
RECEIVER = (
    "import sys; from pathlib import Path; from hie.core.db.backup.tools import find;"
    "from hie.core.db.backup.wal import receive;"
    "receive(find(int(sys.argv[1])), sys.argv[2], Path(sys.argv[3]))"
)


def main(size: str = "small") -> None:
    """Print the gateway's figures without, with, without, with; then make, verify and restore a backup."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    url = embedded.url(embedded.start(bench_gateway.FOLDER / "postgres"), "postgres")
    for is_streamed in (False, True) * ROUNDS[size]:
        print("WAL streamed and summarized:" if is_streamed else "WAL left alone:")
        if is_streamed:
            with _streaming(url):
                bench_gateway.run(MESSAGES[size])
        else:
            bench_gateway.run(MESSAGES[size])
    _back_up(url)


@contextmanager
def _streaming(url: str) -> Iterator[None]:
    embedded.keep_for_backups(url)
    with subprocess.Popen(
        [sys.executable, "-c", RECEIVER, str(ask(url).major), url, FOLDER / "wal"]
    ) as process:
        time.sleep(2)
        try:
            yield
        finally:
            process.terminate()
    embedded.forget_backups(url, SLOT)


def _back_up(url: str) -> None:
    tools = find(ask(url).major)
    folder = Folder(FOLDER)
    began = time.perf_counter()
    backup = make(
        tools,
        url,
        folder,
        Contents({}, Path("none"), None),
        now=SystemClock().now(),
        is_embedded=True,
        is_full=True,
        progress=_silent,
    )
    made = time.perf_counter()
    verify(tools, folder, backup, progress=_silent, with_wal=False)
    verified = time.perf_counter()
    restore(
        tools,
        folder,
        backup,
        FOLDER / "restored",
        moment=None,
        timeline=None,
        follows_wal=False,
        passphrase=None,
        user=embedded.system_user(),
        progress=_silent,
    )
    restored = time.perf_counter()
    size = sum(path.stat().st_size for path in folder.base(backup).rglob("*") if path.is_file()) / 1e6
    print(
        f"{size:.0f} MB: backup {made - began:.1f} s, verified {verified - made:.1f} s,"
        f" restored (verified again) {restored - verified:.1f} s"
    )
    shutil.rmtree(FOLDER)


def _silent(_what: str, _done: int, _total: int | None) -> None:
    """Show nothing."""


if __name__ == "__main__":
    main()
