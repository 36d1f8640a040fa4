"""A restored database is the one that was backed up, at the end or at any moment of its WAL."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hie.core.db.backup.manifest import Manifest
from hie.core.db.backup.restoring import Restored, newest_before, restore
from hie.core.security_errors import BackupError
from tests.hie.backup.conftest import TABLES
from tests.hie.backup.servers import Place, checksums, execute, receiving, server, silent, value


def _restore(
    here: Place,
    backup: Manifest,
    name: str,
    *,
    moment: datetime | None = None,
    follows_wal: bool = True,
    timeline: int | None = None,
) -> Restored:
    return restore(
        here.tools,
        here.backups,
        backup,
        here.folder / name,
        moment=moment,
        timeline=timeline,
        follows_wal=follows_wal,
        passphrase=None,
        user=here.user,
        progress=silent,
    )


def test_restored_backup_has_every_table_as_it_was(here: Place) -> None:
    with server(here, here.folder / "source", is_new=True) as url:
        execute(url, TABLES)
        backup = here.make(url)
        before = checksums(url)
        execute(url, "DELETE FROM visit")
    done = _restore(here, backup, "restored")
    assert (done.data, done.last_commit) == (here.folder / "restored" / "postgres", None)
    with server(here, done.data) as url:
        assert checksums(url) == before
        assert before["public.visit"] != "empty"
        execute(url, "INSERT INTO visit VALUES (-1)")


def test_restore_to_a_moment_has_what_was_committed_before_and_nothing_after(here: Place) -> None:
    with server(here, here.folder / "source", is_new=True) as url, receiving(here, url):
        execute(url, TABLES)
        backup = here.make(url)
        execute(url, "INSERT INTO visit VALUES (-1, 'before')")
        first = checksums(url)
        moment = value(url, "SELECT clock_timestamp()")
        assert isinstance(moment, datetime)
        time.sleep(0.05)
        execute(url, "DELETE FROM visit WHERE id > 100")
        execute(url, "DROP TABLE large")
        second = checksums(url)
    done = _restore(here, backup, "then", moment=moment)
    with server(here, done.data) as url:
        assert checksums(url) == first
    assert done.last_commit is not None
    assert done.last_commit <= moment
    done = _restore(here, backup, "now")
    with server(here, done.data) as url:
        assert checksums(url, "public.behind") == second


@pytest.mark.full
def test_incremental_backups_restore_to_each_of_their_moments(newest: Place) -> None:
    with server(newest, newest.folder / "source", is_new=True) as url:
        made = []
        execute(url, TABLES)
        for turn in range(3):
            execute(url, f"INSERT INTO visit VALUES ({-turn - 1})")  # noqa: S608 - a number
            made.append((newest.make(url), checksums(url)))
    assert [backup.kind for backup, _ in made] == ["full", "incremental", "incremental"]
    for turn in (1, 2):
        backup, then = made[turn]
        done = _restore(newest, backup, f"{turn}restored")
        with server(newest, done.data) as url:
            assert checksums(url) == then


@pytest.mark.full
def test_restored_server_goes_on_along_a_timeline_of_its_own_which_restores_too(newest: Place) -> None:
    with server(newest, newest.folder / "source", is_new=True) as url, receiving(newest, url):
        execute(url, "CREATE TABLE visit (id int)")
        backup = newest.make(url)
        execute(url, "INSERT INTO visit VALUES (1)")
    done = _restore(newest, backup, "second")
    with server(newest, done.data) as url, receiving(newest, url):
        execute(url, "INSERT INTO visit VALUES (2)")
        assert value(url, "SELECT timeline_id FROM pg_control_checkpoint()") == 2
    done = _restore(newest, backup, "third")
    with server(newest, done.data) as url:
        assert value(url, "SELECT array_agg(id ORDER BY id) FROM visit") == [1, 2]
    done = _restore(newest, backup, "fourth", timeline=1)
    with server(newest, done.data) as url:
        assert value(url, "SELECT array_agg(id ORDER BY id) FROM visit") == [1]
    with pytest.raises(BackupError, match=f"Timeline 7 does not come from backup {backup.name}"):
        _restore(newest, backup, "fifth", timeline=7)


def test_restore_refuses_a_directory_with_something_in_it_and_one_that_a_server_uses(newest: Place) -> None:
    with server(newest, newest.folder / "source", is_new=True) as url:
        backup = newest.make(url)
        (newest.folder / "used").mkdir()
        (newest.folder / "used" / "file").touch()
        with pytest.raises(BackupError, match="used is not empty"):
            _restore(newest, backup, "used")
        assert [path.name for path in (newest.folder / "used").iterdir()] == ["file"]
        with pytest.raises(BackupError, match=r"A server runs on .*source"):
            _restore(newest, backup, "source")


def test_restore_to_a_moment_outside_the_wal_says_so_and_leaves_nothing(newest: Place) -> None:
    with server(newest, newest.folder / "source", is_new=True) as url, receiving(newest, url):
        backup = newest.make(url)
    later = datetime.now(UTC) + timedelta(days=1)
    earlier = backup.made - timedelta(days=1)
    with pytest.raises(BackupError, match=r"The WAL ends before .*: its last commit is of"):
        _restore(newest, backup, "later", moment=later)
    assert list((newest.folder / "later").iterdir()) == []
    with pytest.raises(BackupError, match="was made after"):
        _restore(newest, backup, "earlier", moment=earlier)
    assert newest_before(newest.backups, later) == backup
    with pytest.raises(BackupError, match="There is no backup from before"):
        newest_before(newest.backups, earlier)


def test_without_wal_there_is_no_moment_to_restore_to(newest: Place) -> None:
    with server(newest, newest.folder / "source", is_new=True) as url:
        backup = newest.make(url)
    with pytest.raises(BackupError, match="There is no WAL behind backup"):
        _restore(newest, backup, "restored", moment=backup.made + timedelta(seconds=1))
    assert not Path(newest.folder / "restored").exists()
