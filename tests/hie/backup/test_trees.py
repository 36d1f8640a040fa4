"""Files and keys of a backup come back as they were; keys only to who has the passphrase."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.db.backup import trees
from hie.core.db.backup.wal import lsn, segment, shown
from hie.core.security_errors import BackupError


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_come_back_as_they_were_and_links_are_left_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a" / "病历").mkdir(parents=True)
    (source / "a" / "one").write_bytes(b"1" * 100_000)
    (source / "a" / "病历" / "two").write_bytes(b"")
    (source / "a" / "link").symlink_to("/etc/passwd")
    (source / "anchors").write_bytes(b"{}\n")
    found = trees.pack(
        {"jobs": source / "a", "anchors.jsonl": source / "anchors", "none": source / "b"}, tmp_path / "tar"
    )
    assert found == ("jobs", "anchors.jsonl")
    trees.unpack(tmp_path / "tar", tmp_path / "back")
    assert _tree(tmp_path / "back") == {
        "jobs/one": b"1" * 100_000,
        "jobs/病历/two": b"",
        "anchors.jsonl": b"{}\n",
    }


def test_keys_come_back_only_to_who_has_the_passphrase(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    (keys / "signing").write_bytes(b"secret of the exchange")
    (keys / "signing").chmod(0o600)
    trees.seal(keys, b"a long passphrase", tmp_path / "sealed")
    assert b"secret" not in (tmp_path / "sealed").read_bytes()
    trees.unseal(tmp_path / "sealed", b"a long passphrase", tmp_path / "back")
    assert _tree(tmp_path / "back") == {"keys/signing": b"secret of the exchange"}
    assert (tmp_path / "back" / "keys" / "signing").stat().st_mode & 0o777 == 0o600
    with pytest.raises(BackupError, match="The passphrase is not the one"):
        trees.unseal(tmp_path / "sealed", b"another passphrase", tmp_path / "other")
    assert not (tmp_path / "other").exists()
    with pytest.raises(BackupError, match="fewer than 12 bytes"):
        trees.seal(keys, b"short", tmp_path / "weak")
    (tmp_path / "sealed").write_bytes(b"HIEKEYS1")
    with pytest.raises(BackupError, match="does not hold keys"):
        trees.unseal(tmp_path / "sealed", b"a long passphrase", tmp_path / "other")


@pytest.mark.parametrize("name", ["../outside", "/outside", "jobs/../../outside"])
def test_members_that_lead_out_of_the_directory_are_refused(name: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "tar", "w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"x"))
    (tmp_path / "back").mkdir()
    if name.startswith("/"):  # the filter makes it a name below the directory
        trees.unpack(tmp_path / "tar", tmp_path / "back")
        assert _tree(tmp_path / "back") == {"outside": b"x"}
    else:
        with pytest.raises(BackupError, match="cannot be read"):
            trees.unpack(tmp_path / "tar", tmp_path / "back")
    assert not (tmp_path / "outside").exists()


@given(st.integers(0, 2**64 - 1))
def test_positions_are_read_as_they_are_written(position: int) -> None:
    assert lsn(shown(position)) == position


@pytest.mark.parametrize(
    ("timeline", "position", "size", "name"),
    [
        # computed by pg_walfile_name of PostgreSQL
        (1, "0/2000028", 2**24, "000000010000000000000002"),
        (2, "1A/FF000001", 2**24, "000000020000001A000000FF"),
        (1, "5/40000000", 2**30, "000000010000000500000001"),
    ],
)
def test_segments_have_the_names_of_postgresql(timeline: int, position: str, size: int, name: str) -> None:
    assert segment(timeline, lsn(position) // size, size) == name
