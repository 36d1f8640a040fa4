"""A PostgreSQL server of a test's own, of the embedded wheel's or of Debian's programs."""

import atexit
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg

from hie.core.clock import SystemClock
from hie.core.db import embedded
from hie.core.db.backup.folder import Folder
from hie.core.db.backup.making import Contents, make
from hie.core.db.backup.manifest import Manifest
from hie.core.db.backup.tools import Tools

DEBIAN_VERIFIES = 15

CHECKSUMS = """
SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), 'empty') FROM {} AS t
"""


@dataclass(frozen=True)
class Place:
    """Where a test works: a folder that the server's user reaches, the programs, and that user."""

    folder: Path
    tools: Tools
    user: str | None

    @property
    def backups(self) -> Folder:
        """Its backups."""
        return Folder(self.folder / "backup")

    def run(self, name: str, *arguments: str) -> None:
        """Run a program as the server's user."""
        subprocess.run(
            [self.tools.path(name), *arguments],
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def make(self, url: str, *, is_full: bool = False, contents: Contents | None = None) -> Manifest:
        """Make a backup of the server at `url`."""
        if self.backups.all():
            time.sleep(1.1)  # names are of seconds
        return make(
            self.tools,
            url,
            self.backups,
            contents or Contents({}, self.folder / "none", None),
            now=SystemClock().now(),
            is_embedded=False,
            is_full=is_full,
            progress=silent,
        )


def silent(_what: str, _done: int, _total: int | None) -> None:
    """Show nothing."""


@contextmanager
def place(programs: Path, major: int) -> Iterator[Place]:
    """Give a new folder that goes in the end."""
    user = None
    if os.geteuid() == 0:
        user = embedded.system_user() if programs == embedded.programs() else "postgres"
    folder = Path(tempfile.mkdtemp(prefix="hie-backup-"))
    folder.chmod(0o755)
    try:
        yield Place(folder, Tools(programs, major), user)
    finally:
        shutil.rmtree(folder)


@contextmanager
def server(here: Place, data: Path, *, is_new: bool = False) -> Iterator[str]:
    """Give the URL of a server on `data`; stopped in the end."""
    sockets = here.folder / f"s{data.name[:6]}"
    sockets.mkdir(exist_ok=True)
    if is_new:
        data.mkdir()
    if here.user:
        entry = pwd.getpwnam(here.user)
        os.chown(sockets, entry.pw_uid, entry.pw_gid)
        if is_new:
            os.chown(data, entry.pw_uid, entry.pw_gid)
    if is_new:
        subprocess.run(["cp", "-a", f"{_initial(here.tools.folder, here.tools.major)}/.", data], check=True)  # noqa: S607 - of the system
    options = f"-h '' -k {sockets} -c max_wal_senders=10 -c timezone=UTC -c fsync=off"
    if here.tools.major >= 17:
        options += " -c summarize_wal=on"
    here.run("pg_ctl", "-w", "-D", str(data), "-l", str(sockets / "log"), "-o", options, "start")
    try:
        yield f"postgresql://postgres@/postgres?host={sockets}"
    finally:
        here.run("pg_ctl", "-w", "-D", str(data), "-m", "fast", "stop")


@cache
def _initial(programs: Path, major: int) -> Path:
    """Return a data directory as initdb makes it; one a run, as it takes long."""
    with place(programs, major) as other:
        data = Path(tempfile.mkdtemp(prefix="hie-initdb-"))
        atexit.register(shutil.rmtree, data)
        if other.user:
            entry = pwd.getpwnam(other.user)
            os.chown(data, entry.pw_uid, entry.pw_gid)
        other.run("initdb", "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8")
        return data


@contextmanager
def receiving(here: Place, url: str) -> Iterator[None]:
    """Stream the WAL of the server at `url` meanwhile, and have all of it in the end."""
    code = (
        "import sys; from pathlib import Path; from hie.core.db.backup.tools import Tools;"
        "from hie.core.db.backup.wal import receive;"
        "receive(Tools(Path(sys.argv[1]), int(sys.argv[2])), sys.argv[3], Path(sys.argv[4]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, here.tools.folder, str(here.tools.major), url, here.backups.wal]
    )
    try:
        wait(url, "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'hie_backup' AND active")
        yield
        execute(url, "CREATE TABLE IF NOT EXISTS behind (at timestamptz)")
        execute(url, "INSERT INTO behind VALUES (now())")
        end = value(url, "SELECT pg_current_wal_flush_lsn()")
        sent = f"application_name = 'pg_receivewal' AND write_lsn >= '{end}'::pg_lsn"
        wait(url, f"SELECT 1 FROM pg_stat_replication WHERE {sent}")  # noqa: S608 - our own words
    finally:
        process.terminate()
        process.wait(30)


def wait(url: str, question: str) -> None:
    """Return when `question` has an answer."""
    with psycopg.connect(url, autocommit=True) as opened:
        end = time.monotonic() + 60
        while not opened.execute(question.encode()).fetchone():
            assert time.monotonic() < end, question
            time.sleep(0.05)


def execute(url: str, statement: str) -> None:
    """Run one statement and commit it."""
    with psycopg.connect(url, autocommit=True) as opened:
        opened.execute(statement.encode())


def value(url: str, question: str) -> object:
    """Return the first value of the first row."""
    with psycopg.connect(url, autocommit=True) as opened:
        row = opened.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def checksums(url: str, *without: str) -> dict[str, object]:
    """Return a checksum of all rows of each table."""
    with psycopg.connect(url, autocommit=True) as opened:
        names = opened.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        ).fetchall()
        found = {}
        for (name,) in names:
            if name not in without:
                row = opened.execute(CHECKSUMS.format(name).encode()).fetchone()
                found[name] = row[0] if row else None
    return found
