"""The WAL beside the backups: received all the time, checked to be whole, found for a restore.

Segments are named by timeline and position
(https://www.postgresql.org/docs/current/continuous-archiving.html); pg_receivewal writes the one that is
not complete as `.partial`. A restore begins a new timeline, whose `.history` says where it left the old one.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from hie.core.db.backup.manifest import Manifest
from hie.core.db.backup.tools import Progress, Tools, connection
from hie.core.security_errors import BackupError

SLOT: Final = "hie_backup"
PARTIAL: Final = ".partial"
_SEGMENT: Final = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_HISTORY: Final = re.compile(r"([0-9A-F]{8})\.history")
_BROKEN_AT: Final = re.compile(r"error in WAL record at ([0-9A-F]+/[0-9A-F]+)")
_HIGH: Final = 2**32


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch of WAL on one timeline, from one LSN to another, or to the end of what there is."""

    timeline: int
    start: int
    stop: int | None


def receive(tools: Tools, url: str, folder: Path) -> NoReturn:
    """Become pg_receivewal: write the WAL of the server at `url` to `folder` until a signal ends it.

    A replication slot has the server keep what is not received yet.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    text, environment = connection(url)
    common = ["-d", text, "--no-password", f"--slot={SLOT}"]
    tools.run("pg_receivewal", *common, "--create-slot", "--if-not-exists", environment=environment)
    program = str(tools.path("pg_receivewal"))
    os.execve(  # noqa: S606 - no shell is wanted
        program, [program, *common, "-D", str(folder)], {**os.environ, **environment}
    )


def lsn(text: str) -> int:
    """Return the position that PostgreSQL writes as two hexadecimal numbers, ``1/6B3740``."""
    high, _, low = text.partition("/")
    return int(high, 16) * _HIGH + int(low, 16)


def shown(position: int) -> str:
    """Return a position as PostgreSQL writes it."""
    return f"{position // _HIGH:X}/{position % _HIGH:X}"


def segment(timeline: int, number: int, size: int) -> str:
    """Return the name of the segment that begins at `number` times `size` bytes."""
    each = _HIGH // size
    return f"{timeline:08X}{number // each:08X}{number % each:08X}"


def segments(folder: Path, timeline: int, size: int) -> dict[int, Path]:
    """Return the files of the segments of `timeline` by number, complete ones before partial ones."""
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir() if folder.is_dir() else ()):
        read = _SEGMENT.fullmatch(path.name.removesuffix(PARTIAL))
        if read and int(read[1], 16) == timeline:
            found.setdefault(int(read[2], 16) * (_HIGH // size) + int(read[3], 16), path)
    return found


def timelines(folder: Path) -> list[int]:
    """Return the timelines whose history is in `folder`, newest first."""
    found = [_HISTORY.fullmatch(path.name) for path in (folder.iterdir() if folder.is_dir() else ())]
    return sorted((int(each[1], 16) for each in found if each), reverse=True)


def legs(folder: Path, backup: Manifest, timeline: int | None) -> list[Leg]:
    """Return the way from the start of `backup` along `timeline`, or along the newest that leads from it.

    Raises BackupError where `timeline` does not come from this backup.
    """
    wanted = [timeline] if timeline is not None else [*timelines(folder), backup.timeline]
    for each in wanted:
        if each == backup.timeline:
            return [Leg(each, backup.start, None)]
        way = _way(folder, each)
        own = [place for place, leg in enumerate(way) if leg.timeline == backup.timeline]
        if own and (way[own[0]].stop or 0) >= backup.stop:
            first = way[own[0]]
            return [Leg(first.timeline, backup.start, first.stop), *way[own[0] + 1 :]]
    raise BackupError(f"Timeline {timeline} does not come from backup {backup.name}")


def _way(folder: Path, timeline: int) -> list[Leg]:
    path = folder / f"{timeline:08X}.history"
    if not path.exists():
        return []
    way = []
    start = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split("#")[0].split()
        if words:
            stop = lsn(words[1])
            way.append(Leg(int(words[0]), start, stop))
            start = stop
    return [*way, Leg(timeline, start, None)]


def collect(folder: Path, backup: Manifest, way: list[Leg]) -> dict[str, Path]:
    """Return the files of the WAL on `way`, by their names in `pg_wal`; histories too.

    Raises BackupError where one is missing between others.
    """
    found: dict[str, Path] = {}
    size = backup.segment_bytes
    for leg in way:
        there = segments(folder, leg.timeline, size)
        first = leg.start // size
        last = leg.stop // size if leg.stop is not None else max(there, default=first - 1)
        if leg.stop is not None and leg.stop % size == 0:
            last -= 1
        for number in range(first, last + 1):
            name = segment(leg.timeline, number, size)
            if number not in there:
                raise BackupError(f"WAL segment {name} is missing in {folder}")
            if there[number].suffix == PARTIAL and (number < last):
                raise BackupError(f"WAL segment {name} is not complete in {folder}")
            if there[number].stat().st_size != size:
                raise BackupError(f"WAL segment {name} in {folder} is not {size} bytes long")
            found[name] = there[number]
        history = folder / f"{leg.timeline:08X}.history"
        if history.exists():
            found[history.name] = history
    return found


def check(tools: Tools, folder: Path, backup: Manifest, way: list[Leg], progress: Progress) -> int:
    """Read all WAL on `way` record by record, each with its checksum; return where it ends.

    Raises BackupError where a segment is missing or damaged.
    """
    files = collect(folder, backup, way)
    end = backup.stop
    with _linked(files) as linked:
        for leg in way:
            progress(f"reading WAL of timeline {leg.timeline}", 0, None)
            names = [name for name in files if name.startswith(f"{leg.timeline:08X}") and "." not in name]
            if not names:
                continue
            end = _read(tools, linked, leg, backup.segment_bytes, max(names))
    return end


def _read(tools: Tools, folder: Path, leg: Leg, size: int, last: str) -> int:
    common = (f"--path={folder}", f"--timeline={leg.timeline}", f"--start={shown(leg.start)}", "--quiet")
    if leg.stop is not None:
        tools.run("pg_waldump", *common, f"--end={shown(leg.stop)}")
        return leg.stop
    _, lines = tools.attempt("pg_waldump", *common)
    read = _SEGMENT.fullmatch(last)
    number = int(last[8:16], 16) * (_HIGH // size) + int(last[16:], 16) if read else 0
    broken = _BROKEN_AT.search("\n".join(lines))
    if broken is None:
        # it asks for the segment after the last: all that there are were read
        if not any(segment(leg.timeline, number + 1, size) in line for line in lines):
            raise BackupError(f"WAL from {shown(leg.start)} cannot be read: {lines[-1] if lines else ''}")
        return (number + 1) * size
    # the last record that was read begins there; what follows is not written yet, or damaged
    place = lsn(broken[1])
    if place // size < number:
        name = segment(leg.timeline, place // size, size)
        raise BackupError(f"WAL segment {name} is damaged behind {broken[1]}")
    return place


@contextmanager
def _linked(files: dict[str, Path]) -> Iterator[Path]:
    """Give a directory where `files` have their names, as pg_waldump wants them."""
    with tempfile.TemporaryDirectory(prefix="hie-wal-") as name:
        folder = Path(name)
        for target, path in files.items():
            (folder / target).symlink_to(path.resolve())
        yield folder
