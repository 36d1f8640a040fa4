"""Checks that backups are what they were when they were made: every file, its own WAL, and the WAL behind.

What https://www.postgresql.org/docs/current/app-pgverifybackup.html does, by the same manifest; that program
itself ends with a segmentation fault in the embedded server's wheel. Whether a database starts, a restore
alone shows.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hie.core.db.backup import wal
from hie.core.db.backup.folder import Folder
from hie.core.db.backup.making import PG_MANIFEST
from hie.core.db.backup.manifest import Kept, Manifest
from hie.core.db.backup.tools import Progress, Tools
from hie.core.fhir.json import JsonObject
from hie.core.security_errors import BackupError

_UNLISTED: Final = frozenset({PG_MANIFEST, "postgresql.auto.conf", "standby.signal", "recovery.signal"})
"""What a backup may hold, or not, beside the files of its manifest; and all of `pg_wal`."""
_BLOCK: Final = 2**20


@dataclass(frozen=True, slots=True)
class Sound:
    """A backup that is whole: those that it rests on, and the LSN up to which WAL follows, if any does."""

    chain: list[Manifest]
    way: list[wal.Leg] | None
    end: int | None


def verify(
    tools: Tools,
    folder: Folder,
    backup: Manifest,
    *,
    progress: Progress,
    timeline: int | None = None,
    with_wal: bool = True,
) -> Sound:
    """Check `backup`, those that it rests on and, `with_wal`, the WAL that followed it.

    Raises BackupError with the first thing that is not as it was.
    """
    chain = folder.chain(backup)
    for each in chain:
        _check_files(folder, each, progress)
        _check_database(folder.base(each), progress)
        own = wal.Leg(each.timeline, each.start, each.stop)
        wal.check(tools, folder.base(each) / "pg_wal", each, [own], progress)
    if not with_wal or not has_wal(folder, backup):
        return Sound(chain, None, None)
    way = wal.legs(folder.wal, backup, timeline)
    return Sound(chain, way, wal.check(tools, folder.wal, backup, way, progress))


def has_wal(folder: Folder, backup: Manifest) -> bool:
    """Return whether WAL of or behind `backup` was received."""
    first = backup.start // backup.segment_bytes
    return any(number >= first for number in wal.segments(folder.wal, backup.timeline, backup.segment_bytes))


def _check_files(folder: Folder, backup: Manifest, progress: Progress) -> None:
    for kept in backup.files:
        path = (folder.base(backup) if kept.name == PG_MANIFEST else folder.path / backup.name) / kept.name
        if not path.exists():
            raise BackupError(f"{path} of backup {backup.name} is missing")
        total = kept.size

        def note(done: int, name: str = kept.name, total: int = total) -> None:
            progress(f"hashing {name}", done, total)

        if Kept.of(path, note) != kept:
            raise BackupError(f"{path} is not as it was when backup {backup.name} was made")


def _check_database(base: Path, progress: Progress) -> None:
    """Compare the files in `base` with PostgreSQL's manifest: none more, none fewer, none changed.

    Source: https://www.postgresql.org/docs/current/backup-manifest-files.html
    """
    listed = {_path(each): each for each in json.loads((base / PG_MANIFEST).read_bytes())["Files"]}
    there = {str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()}
    more = {name for name in there - set(listed) - _UNLISTED if not name.startswith("pg_wal/")}
    for name in sorted(more):
        raise BackupError(f"{base / name} does not belong to the backup")
    total = sum(each["Size"] for each in listed.values())
    done = 0
    for name, each in listed.items():
        if name in _UNLISTED:
            continue
        if name not in there:
            raise BackupError(f"{base / name} is missing")
        if each.get("Checksum-Algorithm") != "SHA256":
            raise BackupError(f"{base / name} has no SHA-256 in {PG_MANIFEST}")
        digest = hashlib.sha256()
        with (base / name).open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                done += len(block)
                progress("verifying the database", done, total)
        if digest.hexdigest() != each["Checksum"]:
            raise BackupError(f"{base / name} is not as it was when the backup was made")


def _path(listed: JsonObject) -> str:
    if "Path" in listed:
        return str(listed["Path"])
    return os.fsdecode(bytes.fromhex(listed["Encoded-Path"]))
