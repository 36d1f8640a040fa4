"""What is damaged or not complete is refused before anything is written; what was interrupted is none."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hie.core.db import embedded
from hie.core.db.backup.manifest import Manifest
from hie.core.db.backup.pruning import prune
from hie.core.db.backup.restoring import restore
from hie.core.db.backup.verification import verify
from hie.core.db.backup.wal import segment
from hie.core.security_errors import BackupError
from tests.hie.backup.conftest import TABLES
from tests.hie.backup.servers import DEBIAN_VERIFIES, Place, execute, place, receiving, server, silent

BODY = "SELECT decode(repeat(md5(i::text), 200000), 'hex') FROM generate_series(1, 10) AS i"
"""Some tens of megabytes of WAL."""


@pytest.fixture(scope="module")
def whole() -> Iterator[tuple[Place, Manifest]]:
    """A full backup and an incremental one on it, with several segments of WAL behind."""
    with place(embedded.programs(), 18) as here:
        with server(here, here.folder / "source", is_new=True) as url, receiving(here, url):
            execute(url, TABLES)
            here.make(url)
            execute(url, "UPDATE visit SET text = 'x' WHERE id < 100")
            backup = here.make(url)
            execute(url, "ALTER TABLE large ALTER body SET STORAGE EXTERNAL")
            execute(url, f"INSERT INTO large {BODY}")
        yield here, backup


@pytest.fixture
def copy(whole: tuple[Place, Manifest], tmp_path: Path) -> tuple[Place, Manifest]:
    """The same to damage."""
    here, backup = whole
    made = Place(tmp_path, here.tools, here.user)
    shutil.copytree(here.backups.path, made.backups.path)
    return made, backup


def _refuse(here: Place, backup: Manifest, reason: str) -> None:
    with pytest.raises(BackupError, match=reason):
        restore(
            here.tools,
            here.backups,
            backup,
            here.folder / "restored",
            moment=None,
            timeline=None,
            follows_wal=True,
            passphrase=None,
            user=here.user,
            progress=silent,
        )
    assert not (here.folder / "restored").exists()


def _flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        old = file.read(1)
        file.seek(place)
        file.write(bytes([old[0] ^ 1]))


def _largest(folder: Path) -> Path:
    return max((each for each in folder.rglob("*") if each.is_file()), key=lambda path: path.stat().st_size)


def test_untouched_backup_is_whole_up_to_the_end_of_its_wal(whole: tuple[Place, Manifest]) -> None:
    here, backup = whole
    sound = verify(here.tools, here.backups, backup, progress=silent)
    assert [each.kind for each in sound.chain] == ["full", "incremental"]
    assert sound.end is not None
    assert sound.end > backup.stop + 3 * backup.segment_bytes


def test_one_changed_bit_in_the_database_is_refused(copy: tuple[Place, Manifest]) -> None:
    here, backup = copy
    path = _largest(here.backups.base(here.backups.all()[0]) / "base")
    _flip(path, path.stat().st_size // 2)
    _refuse(here, backup, f"{path.name} is not as it was when the backup was made")


@pytest.mark.parametrize("name", ["files.tar", "base/backup_manifest"])
def test_one_changed_bit_in_what_stands_beside_is_refused(copy: tuple[Place, Manifest], name: str) -> None:
    here, backup = copy
    path = here.backups.path / backup.name / name
    _flip(path, path.stat().st_size // 2)
    _refuse(here, backup, f"{path.name} is not as it was when backup {backup.name} was made")


def test_missing_and_additional_files_are_refused(copy: tuple[Place, Manifest]) -> None:
    here, backup = copy
    more = here.backups.base(backup) / "base" / "99999"
    more.touch()
    _refuse(here, backup, "99999 does not belong to the backup")
    more.unlink()
    (here.backups.base(backup) / "PG_VERSION").unlink()
    _refuse(here, backup, "PG_VERSION is missing")


def test_backup_whose_parent_is_gone_is_refused(copy: tuple[Place, Manifest]) -> None:
    here, backup = copy
    assert backup.parent is not None
    shutil.rmtree(here.backups.path / backup.parent)
    _refuse(here, backup, f"{backup.parent} is not a complete backup")


def test_missing_wal_segment_between_others_is_named(copy: tuple[Place, Manifest]) -> None:
    here, backup = copy
    segments = sorted(path for path in here.backups.wal.iterdir() if path.suffix != ".partial")
    segments[-1].unlink()
    _refuse(here, backup, f"WAL segment {segments[-1].name} is missing")


def test_damaged_wal_segment_is_named(copy: tuple[Place, Manifest]) -> None:
    here, backup = copy
    segments = sorted(path for path in here.backups.wal.iterdir() if path.suffix != ".partial")
    _flip(segments[-1], backup.segment_bytes // 2)
    _refuse(here, backup, f"WAL segment ({'|'.join(each.name for each in segments[-2:])}) is damaged")


def test_shortened_wal_segment_is_refused(copy: tuple[Place, Manifest]) -> None:
    here, backup = copy
    segments = sorted(path for path in here.backups.wal.iterdir() if path.suffix != ".partial")
    os.truncate(segments[-1], 8192)
    _refuse(here, backup, f"WAL segment {segments[-1].name} in .* is not 16777216 bytes long")


def test_manifest_that_is_not_one_is_refused(copy: tuple[Place, Manifest]) -> None:
    here, backup = copy
    (here.backups.path / backup.name / "manifest.json").write_text("{}")
    with pytest.raises(BackupError, match=r"manifest.json cannot be read"):
        here.backups.get("latest")
    with pytest.raises(BackupError, match="is no name of a backup"):
        here.backups.get("../backup")


def test_verify_finds_what_the_program_of_postgresql_finds(here: Place) -> None:
    if here.tools.major != DEBIAN_VERIFIES:
        pytest.skip("pg_verifybackup of the embedded server's wheel ends with a segmentation fault")
    with server(here, here.folder / "source", is_new=True) as url:
        execute(url, TABLES)
        backup = here.make(url)
    base = here.backups.base(backup)
    here.tools.run("pg_verifybackup", str(base))
    verify(here.tools, here.backups, backup, progress=silent)
    path = _largest(base / "base")
    _flip(path, 100)
    with pytest.raises(BackupError):
        here.tools.run("pg_verifybackup", str(base))
    with pytest.raises(BackupError, match=path.name):
        verify(here.tools, here.backups, backup, progress=silent)


def test_killed_backup_is_none_and_the_next_one_clears_it_away(newest: Place) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.hie.backup.servers import Place;"
        "from hie.core.db.backup.tools import Tools;"
        "Place(Path(sys.argv[1]), Tools(Path(sys.argv[2]), 18), None).make(sys.argv[3])"
    )
    with server(newest, newest.folder / "source", is_new=True) as url:
        execute(url, TABLES)
        execute(url, f"INSERT INTO large {BODY}")
        process = subprocess.Popen(
            [sys.executable, "-c", code, newest.folder, newest.tools.folder, url], start_new_session=True
        )
        end = time.monotonic() + 60
        while not list(newest.backups.path.glob("*.incomplete/base/base")):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
        left = list(newest.backups.path.glob("*.incomplete"))
        assert len(left) == 1
        assert newest.backups.all() == []
        with pytest.raises(BackupError, match="There is no complete backup"):
            newest.backups.get("latest")
        made = newest.make(url)
    assert [path.name for path in newest.backups.path.iterdir() if path.is_dir()] == [made.name]


def test_second_backup_at_the_same_time_is_refused(newest: Place) -> None:
    with newest.backups.locked(), pytest.raises(BackupError, match="Another backup is being made"):
        prune(newest.backups, 1)


def test_pruning_keeps_what_the_kept_backups_rest_on_and_their_wal(copy: tuple[Place, Manifest]) -> None:
    here, backup = copy
    before = verify(here.tools, here.backups, backup, progress=silent)
    assert prune(here.backups, 1).backups == []
    full = here.backups.all()[0]
    shutil.copytree(here.backups.path / backup.name, here.backups.path / "20990101T000000Z")
    text = (here.backups.path / backup.name / "manifest.json").read_text()
    newer = text.replace(backup.name, "20990101T000000Z").replace('"made":"20', '"made":"21')
    newer = newer.replace(f'"parent":"{full.name}"', '"parent":null').replace('"incremental"', '"full"')
    (here.backups.path / "20990101T000000Z" / "manifest.json").write_text(newer)
    segments = {path.name for path in here.backups.wal.iterdir()}
    done = prune(here.backups, 1)
    assert done.backups == [full.name, backup.name]
    first = segment(backup.timeline, backup.start // backup.segment_bytes, backup.segment_bytes)
    assert {path.name for path in here.backups.wal.iterdir()} == {name for name in segments if name >= first}
    assert done.segments == len([name for name in segments if name < first]) > 0
    assert verify(here.tools, here.backups, here.backups.get("latest"), progress=silent).end == before.end
