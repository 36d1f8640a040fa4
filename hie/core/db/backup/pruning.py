"""Removes old backups with the WAL that only they needed; what a kept backup rests on is kept."""

import shutil
from dataclasses import dataclass

from hie.core.db.backup import wal
from hie.core.db.backup.folder import INCOMPLETE, Folder


@dataclass(frozen=True, slots=True)
class Pruned:
    """Names of the backups and the number of the segments that are gone."""

    backups: list[str]
    segments: int


def prune(folder: Folder, keep: int) -> Pruned:
    """Remove all but the newest `keep` backups, what these rest on, and the WAL since the oldest."""
    with folder.locked():
        backups = folder.all()
        kept = {each.name for backup in backups[-keep:] for each in folder.chain(backup)}
        gone = []
        for backup in reversed(backups):  # an incremental one before what it rests on
            if backup.name not in kept:
                away = folder.path / f"{backup.name}{INCOMPLETE}"
                (folder.path / backup.name).rename(away)
                shutil.rmtree(away)
                gone.append(backup.name)
        remaining = [backup for backup in backups if backup.name in kept]
        count = 0
        if remaining:
            oldest = remaining[0]
            first = min(each.start for each in remaining) // oldest.segment_bytes
            for timeline in {oldest.timeline, *wal.timelines(folder.wal)}:
                for number, path in wal.segments(folder.wal, timeline, oldest.segment_bytes).items():
                    if number < first:
                        path.unlink()
                        count += 1
    return Pruned(gone[::-1], count)
