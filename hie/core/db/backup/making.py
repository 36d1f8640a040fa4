"""Makes a backup: files of `var_dir` first, then the database by pg_basebackup, then the manifest.

In this order a record that leaves a local audit log for the database meanwhile is in both, which its place
in the log tells apart, and not in neither. A backup is incremental (PostgreSQL 17 and later,
https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-INCREMENTAL-BACKUP) where the
server summarizes its WAL and a backup is there to rest on.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import psycopg

from hie.core.db.backup import trees
from hie.core.db.backup.folder import BASE, Folder
from hie.core.db.backup.manifest import Kept, Manifest, stamp
from hie.core.db.backup.tools import Progress, Tools, connection
from hie.core.db.backup.wal import lsn
from hie.core.security_errors import BackupError

PG_MANIFEST: Final = "backup_manifest"
LONGEST_CHAIN: Final = 7
"""Backups that one restore puts together at most: a full one a week, where one is made each day."""
_INCREMENTAL_SINCE: Final = 17
_KILOBYTES: Final = re.compile(r"(\d+)/(\d+) kB")
_SERVER: Final = """
SELECT current_setting('server_version_num')::int,
       (SELECT system_identifier FROM pg_control_system()),
       (SELECT timeline_id FROM pg_control_checkpoint()),
       (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'),
       coalesce(current_setting('summarize_wal', true), 'off') = 'on',
       ARRAY(SELECT spcname::text FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global'))
"""


@dataclass(frozen=True, slots=True)
class Server:
    """What a backup must know of the server: version, identity, size of segments, WAL summaries."""

    version: int
    system: int
    timeline: int
    segment_bytes: int
    has_summaries: bool

    @property
    def major(self) -> int:
        """The major version."""
        return self.version // 10_000


@dataclass(frozen=True, slots=True)
class Contents:
    """What of this machine belongs to the backup besides the database, by name, and what is kept out."""

    trees: Mapping[str, Path]
    keys: Path
    passphrase: bytes | None


def ask(url: str) -> Server:
    """Return what the server at `url` is; raises BackupError where it has tablespaces of its own."""
    with psycopg.connect(url, autocommit=True) as opened:
        row = opened.execute(_SERVER).fetchone()
    if row is None:
        raise BackupError("The server says nothing of itself")
    version, system, timeline, segment_bytes, has_summaries, tablespaces = row
    if tablespaces:
        raise BackupError(f"Tablespaces of one's own are not backed up: {', '.join(tablespaces)}")
    return Server(version, system, timeline, segment_bytes, has_summaries)


def make(
    tools: Tools,
    url: str,
    folder: Folder,
    contents: Contents,
    *,
    now: datetime,
    is_embedded: bool,
    is_full: bool,
    progress: Progress,
) -> Manifest:
    """Make a backup of the server at `url` and of `contents`; return its manifest.

    Raises BackupError where one is being made, or a program fails.
    """
    server = ask(url)
    name = stamp(now)
    with folder.locked() as lock:
        parent = None if is_full else _parent(folder, server)
        draft = folder.begin(name)
        progress("copying files", 0, None)
        found = trees.pack(contents.trees, draft / trees.FILES)
        kept = [trees.FILES]
        missing = []
        if contents.keys.is_dir():
            if contents.passphrase is not None:
                trees.seal(contents.keys, contents.passphrase, draft / trees.KEYS)
                kept.append(trees.KEYS)
            else:
                missing.append("keys (no HIE_BACKUP_PASSPHRASE)")
        text, environment = connection(url)
        arguments = ["-d", text, "-D", str(draft / BASE), "--format=plain", "--wal-method=stream"]
        arguments += ["--checkpoint=fast", "--manifest-checksums=SHA256", "--no-password", "--progress"]
        if parent is not None:
            arguments.append(f"--incremental={folder.base(parent) / PG_MANIFEST}")
        tools.run(
            "pg_basebackup",
            *arguments,
            environment=environment,
            on_line=_reader("copying the database", progress),
            keep_open=(lock,),
        )
        progress("hashing", 0, None)
        start, stop = _wal_range(draft / BASE / PG_MANIFEST, server.timeline)
        manifest = Manifest(
            name=name,
            kind="full" if parent is None else "incremental",
            parent=None if parent is None else parent.name,
            made=now,
            server=server.version,
            system=server.system,
            timeline=server.timeline,
            start=start,
            stop=stop,
            segment_bytes=server.segment_bytes,
            is_embedded=is_embedded,
            files=(Kept.of(draft / BASE / PG_MANIFEST), *(Kept.of(draft / each) for each in kept)),
            trees=found,
            missing=tuple(missing),
        )
        manifest.write(draft)
        folder.complete(draft)
    return manifest


def _parent(folder: Folder, server: Server) -> Manifest | None:
    """Return the newest backup that an incremental one can rest on."""
    if not server.has_summaries or server.major < _INCREMENTAL_SINCE:
        return None
    backups = [
        each
        for each in folder.all()
        if (each.system, each.timeline, each.major) == (server.system, server.timeline, server.major)
    ]
    if not backups or len(folder.chain(backups[-1])) >= LONGEST_CHAIN:
        return None
    return backups[-1]


def _reader(what: str, progress: Progress) -> Callable[[str], None]:
    """Return what reads the lines of `--progress`, kilobytes done of all."""

    def read(line: str) -> None:
        found = _KILOBYTES.search(line)
        if found:
            progress(what, int(found[1]) * 1024, int(found[2]) * 1024)

    return read


def _wal_range(path: Path, timeline: int) -> tuple[int, int]:
    """Return the LSNs that the backup needs the WAL between.

    Source: https://www.postgresql.org/docs/current/backup-manifest-wal-ranges.html
    """
    for each in json.loads(path.read_bytes())["WAL-Ranges"]:
        if each["Timeline"] == timeline:
            return lsn(each["Start-LSN"]), lsn(each["End-LSN"])
    raise BackupError(f"The server left timeline {timeline} during the backup")
