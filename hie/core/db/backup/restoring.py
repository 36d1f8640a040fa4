"""Restores a backup into a new directory, to its end, to the end of the WAL, or to a moment.

What is there is never written over: the directory must be empty, and the database gets its name in it
when it is whole. Segments are copied, for a server renames and overwrites those in `pg_wal`.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from hie.core.db import embedded
from hie.core.db.backup import trees, wal
from hie.core.db.backup.folder import Folder
from hie.core.db.backup.manifest import Manifest
from hie.core.db.backup.recovery import recover
from hie.core.db.backup.tools import Progress, Tools
from hie.core.db.backup.verification import Sound, verify
from hie.core.security_errors import BackupError

DATA: Final = "postgres"
_DRAFT: Final = "postgres.incomplete"
_PASSING: Final = ("postmaster.pid", "postmaster.opts", ".handle_pids.json", ".s.PGSQL.*.lock")
"""What a running server, and the embedded one's wheel, note of their processes."""


@dataclass(frozen=True, slots=True)
class Restored:
    """Where the database is now, and the time of its last commit where WAL was replayed."""

    data: Path
    last_commit: datetime | None


def restore(
    tools: Tools,
    folder: Folder,
    backup: Manifest,
    target: Path,
    *,
    moment: datetime | None,
    timeline: int | None,
    follows_wal: bool,
    passphrase: bytes | None,
    user: str | None,
    progress: Progress,
) -> Restored:
    """Restore `backup` under `target`: the database into `postgres`, its files beside it.

    `follows_wal`: to the end of the WAL, or up to `moment`; else to the end of the backup. Nothing is
    written unless the backup and the WAL are whole. Raises BackupError for what is not, and for a `target`
    with something in it.
    """
    _require_empty(target)
    if moment is not None and moment < backup.made:
        raise BackupError(f"Backup {backup.name} was made after {moment.isoformat()}; an older one is needed")
    sealed = folder.path / backup.name / trees.KEYS
    if passphrase is not None and sealed.exists():
        trees.opened(sealed, passphrase)  # a wrong one is said now, and not behind hours of copying
    sound = verify(tools, folder, backup, progress=progress, timeline=timeline, with_wal=follows_wal)
    if moment is not None and sound.way is None:
        raise BackupError(f"There is no WAL behind backup {backup.name}; it restores to its own end only")
    target.mkdir(parents=True, exist_ok=True)
    draft = target / _DRAFT
    try:
        _lay_out(tools, folder, sound, draft, progress)
        _forget_processes(draft)
        if sound.way is not None:
            _copy_wal(folder, backup, sound, draft / "pg_wal", progress)
        if user is not None:
            embedded.let_reach(draft)
        last = recover(
            tools,
            draft,
            target=moment,
            timeline=sound.way[-1].timeline if sound.way else backup.timeline,
            user=user,
            progress=progress,
        )
        _forget_processes(draft)
        _restore_files(folder, backup, target, passphrase)
    except BaseException:
        for each in target.iterdir():  # it was empty
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        raise
    data = target / DATA
    draft.rename(data)
    return Restored(data, last)


def newest_before(folder: Folder, moment: datetime) -> Manifest:
    """Return the newest backup made before `moment`; raises BackupError where there is none."""
    found = [each for each in folder.all() if each.made <= moment]
    if not found:
        raise BackupError(f"There is no backup from before {moment.isoformat()} in {folder.path}")
    return found[-1]


def _require_empty(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise BackupError(f"{target} is no directory")
    for data in (target, target / DATA):
        if (data / "postmaster.pid").exists() and embedded.is_running(data):
            raise BackupError(f"A server runs on {data}; a restore goes into a directory of its own")
    if any(target.iterdir()):
        raise BackupError(f"{target} is not empty; a restore goes into a directory of its own")


def _forget_processes(data: Path) -> None:
    for pattern in _PASSING:
        for path in data.glob(pattern):
            path.unlink()


def _lay_out(tools: Tools, folder: Folder, sound: Sound, draft: Path, progress: Progress) -> None:
    """Write the data directory: a copy, or what the chain of backups puts together."""
    bases = [folder.base(each) for each in sound.chain]
    total = sum(path.stat().st_size for base in bases for path in base.rglob("*") if path.is_file())
    if len(bases) > 1:
        progress(f"putting {len(bases)} backups together", 0, None)
        tools.run("pg_combinebackup", *map(str, bases), "-o", str(draft))
        return
    shutil.copytree(
        bases[0], draft, symlinks=True, copy_function=_copier("copying the database", total, progress)
    )
    draft.chmod(0o700)


def _copy_wal(folder: Folder, backup: Manifest, sound: Sound, target: Path, progress: Progress) -> None:
    """Copy the WAL behind the backup; the backup's own segment stays where the received one is partial."""
    files = wal.collect(folder.wal, backup, sound.way or [])
    copy = _copier("copying WAL", sum(path.stat().st_size for path in files.values()), progress)
    for name, path in files.items():
        if path.suffix == wal.PARTIAL and (target / name).exists():
            continue
        copy(str(path), str(target / name))


def _copier(what: str, total: int, progress: Progress) -> Callable[[str, str], str]:
    """Return a function that copies one file and tells how much of `total` bytes is done."""
    done = 0

    def copy(source: str, target: str) -> str:
        nonlocal done
        shutil.copy2(source, target)
        done += os.path.getsize(target)  # noqa: PTH202 - a name of shutil
        progress(what, done, total)
        return target

    return copy


def _restore_files(folder: Folder, backup: Manifest, target: Path, passphrase: bytes | None) -> None:
    here = folder.path / backup.name
    trees.unpack(here / trees.FILES, target)
    if passphrase is not None and (here / trees.KEYS).exists():
        trees.unseal(here / trees.KEYS, passphrase, target)
