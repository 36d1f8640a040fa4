"""What a backup is, as written beside it in `manifest.json` when it is complete.

PostgreSQL's own `backup_manifest` lists and hashes the files of the database; its hash stands here, with
those of our own files, so that a change of either is found.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import TypeAdapter, ValidationError

from hie.core.fhir.json import dumps
from hie.core.security_errors import BackupError

FILE: Final = "manifest.json"
_BLOCK: Final = 2**20


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of a backup: its name, its bytes and their SHA-256."""

    name: str
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path, on_bytes: Callable[[int], None] | None = None) -> Self:
        """Return what `path` is now."""
        digest = hashlib.sha256()
        size = 0
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
                if on_bytes is not None:
                    on_bytes(size)
        return cls(path.name, size, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup. `start` and `stop` are the LSNs between which its WAL must be replayed at least."""

    name: str
    kind: Literal["full", "incremental"]
    parent: str | None
    made: datetime
    server: int
    system: int
    timeline: int
    start: int
    stop: int
    segment_bytes: int
    is_embedded: bool
    files: tuple[Kept, ...]
    trees: tuple[str, ...]
    missing: tuple[str, ...]
    version: Literal[1] = 1

    @property
    def major(self) -> int:
        """The major version of the server."""
        return self.server // 10_000

    def write(self, folder: Path) -> None:
        """Write it into `folder`."""
        (folder / FILE).write_bytes(dumps(asdict(self) | {"made": self.made.isoformat()}) + b"\n")


_READER: Final = TypeAdapter(Manifest)


def read(folder: Path) -> Manifest:
    """Return the manifest of the backup in `folder`; raises BackupError where there is none."""
    try:
        found = _READER.validate_json((folder / FILE).read_bytes())
    except FileNotFoundError as error:
        raise BackupError(f"{folder} is not a complete backup: it has no {FILE}") from error
    except ValidationError as error:
        raise BackupError(f"{folder / FILE} cannot be read: {error.errors()[0]['msg']}") from error
    if found.made.tzinfo is None:
        raise BackupError(f"{folder / FILE} cannot be read: its time has no zone")
    return found


def stamp(moment: datetime) -> str:
    """Return the name of a backup made at `moment`, as UTC."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
