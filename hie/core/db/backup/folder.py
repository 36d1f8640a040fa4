"""The directory of backups: one sub-directory each, complete or marked as not, and the WAL beside them.

A backup that is being made is `NAME.incomplete` and gets its name when all of it is on the disk; one
process at a time makes or removes backups. The programs it starts inherit the lock: one that outlives it
keeps others out until it has ended.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hie.core.db.backup import manifest
from hie.core.db.backup.manifest import Manifest
from hie.core.security_errors import BackupError

BASE: Final = "base"
INCOMPLETE: Final = ".incomplete"


class Folder:
    """The backups under `path`."""

    def __init__(self, path: Path) -> None:
        """Take the directory; it need not be there."""
        self.path = path

    @property
    def wal(self) -> Path:
        """The directory of the WAL."""
        return self.path / "wal"

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Keep others from making or removing backups; give the descriptor of the lock.

        Raises BackupError where another process has it.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BackupError(f"Another backup is being made in {self.path}") from error
            yield descriptor
        finally:
            os.close(descriptor)

    def begin(self, name: str) -> Path:
        """Return the new directory of a backup that is not complete, those of earlier attempts removed."""
        for left in self.path.glob(f"*{INCOMPLETE}"):
            shutil.rmtree(left)
        if (self.path / name).exists():
            raise BackupError(f"There is a backup {name} already")
        draft = self.path / f"{name}{INCOMPLETE}"
        draft.mkdir(mode=0o700)
        return draft

    def complete(self, draft: Path) -> None:
        """Give `draft` its name; what it holds is on the disk before."""
        for path in (*(each for each in draft.iterdir() if each.is_file()), draft):
            _flush(path)
        draft.rename(draft.with_name(draft.name.removesuffix(INCOMPLETE)))
        _flush(self.path)

    def all(self) -> list[Manifest]:
        """Return the complete backups, oldest first."""
        if not self.path.is_dir():
            return []
        return sorted(
            (manifest.read(each.parent) for each in self.path.glob(f"*/{manifest.FILE}") if _is_named(each)),
            key=lambda found: found.made,
        )

    def get(self, name: str) -> Manifest:
        """Return the backup `name`, or the newest for `latest`; raises BackupError where there is none."""
        if name == "latest":
            backups = self.all()
            if not backups:
                raise BackupError(f"There is no complete backup in {self.path}")
            return backups[-1]
        if "/" in name or name.startswith("."):
            raise BackupError(f"`{name}` is no name of a backup")
        return manifest.read(self.path / name)

    def chain(self, backup: Manifest) -> list[Manifest]:
        """Return the full backup that `backup` rests on and all between, `backup` last."""
        found = [backup]
        while (parent := found[0].parent) is not None:
            if len(found) > len(self.all()):
                raise BackupError(f"The parents of backup {backup.name} go in a circle")
            found.insert(0, self.get(parent))
        return found

    def base(self, backup: Manifest) -> Path:
        """Return the directory of the database in `backup`."""
        return self.path / backup.name / BASE


def _is_named(path: Path) -> bool:
    return not path.parent.name.endswith(INCOMPLETE)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
