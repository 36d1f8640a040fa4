"""`hie backup` and `hie restore` as people run them, on the embedded server."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hie.core.db import embedded


class Home:
    """A directory where `hie` runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def hie(
        self, *arguments: str, status: int = 0, settings: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `hie`; return what it said."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HIE_")}
        done = subprocess.run(
            [sys.executable, "-m", "hie", *arguments],
            cwd=self.folder,
            env={**clean, **(settings or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done
        return done

    def rows(self, var: str) -> list[tuple[object, ...]]:
        """Return what the test's table has in the embedded server under `var`."""
        with psycopg.connect(self.url(var)) as connection:
            return connection.execute("SELECT id FROM visit ORDER BY id").fetchall()

    def url(self, var: str) -> str:
        """Start the server under `var` and return its URL."""
        code = (
            "import sys; from pathlib import Path; from hie.core.db import embedded;"
            "print(embedded.url(embedded.start(Path(sys.argv[1]) / 'postgres')))"
        )
        found = subprocess.run(
            [sys.executable, "-c", code, self.folder / var], capture_output=True, text=True, check=True
        )
        return found.stdout.strip()

    def stop(self) -> None:
        """Stop every server."""
        for data in self.folder.glob("*/postgres"):
            if embedded.is_running(data):
                embedded.stop(data)


@pytest.fixture
def home() -> Iterator[Home]:
    # not pytest's own folder, which each run of it closes to the server's user
    folder = Path(tempfile.mkdtemp(prefix="hie-home-"))
    folder.chmod(0o755)
    made = Home(folder)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


def test_exchange_is_backed_up_and_restored_with_its_files_and_keys(home: Home) -> None:
    home.hie("migrate")
    with psycopg.connect(home.url("var"), autocommit=True) as connection:
        connection.execute("CREATE TABLE visit (id int)")
        connection.execute("INSERT INTO visit VALUES (1), (2)")
    for name, text in (("jobs/1/out.ndjson", "{}"), ("keys/signing", "secret"), ("audit/a.log", "x")):
        (home.folder / "var" / name).parent.mkdir(parents=True, exist_ok=True)
        (home.folder / "var" / name).write_text(text)
    (home.folder / "passphrase").write_text("correct horse battery staple\n")
    without = home.hie("backup", "make")
    assert "with jobs, audit" in without.stdout
    assert "Not in it: keys (no HIE_BACKUP_PASSPHRASE)" in without.stderr
    secret = {"HIE_BACKUP_PASSPHRASE": "passphrase"}
    name, kind, _ = home.hie("backup", "make", settings=secret).stdout.split("\t")
    assert kind.startswith("incremental on ")
    with psycopg.connect(home.url("var"), autocommit=True) as connection:
        connection.execute("INSERT INTO visit VALUES (3)")
    listed = home.hie("backup", "list").stdout.splitlines()
    assert [line.split("\t")[1] for line in listed] == ["full", "incremental"]
    assert home.hie("backup", "verify").stdout == f"{name}: whole, 2 in its chain, no WAL behind it\n"
    setting = {"HIE_BACKUP_FOLDER": "var/backup"}
    said = home.hie("restore", "--into", "second", settings=setting | secret)
    assert said.stdout.startswith(f"{name} is restored into {home.folder / 'second' / 'postgres'}")
    assert "Keys were not restored" not in said.stderr
    assert home.rows("second") == [(1,), (2,)]
    assert home.rows("var") == [(1,), (2,), (3,)]
    for path in ("jobs/1/out.ndjson", "keys/signing", "audit/a.log"):
        assert (home.folder / "second" / path).read_bytes() == (home.folder / "var" / path).read_bytes()
    assert "hie: " in home.hie("restore", "--into", "second", status=1).stderr
    wrong = {"HIE_BACKUP_PASSPHRASE": "wrong"}
    (home.folder / "wrong").write_text("a passphrase of another")
    said = home.hie("restore", "--into", "third", status=1, settings=wrong)
    assert "The passphrase is not the one" in said.stderr
    assert not (home.folder / "third").exists()
    manifest = json.loads((home.folder / "var" / "backup" / name / "manifest.json").read_bytes())
    assert (manifest["kind"], manifest["is_embedded"], manifest["missing"]) == ("incremental", True, [])


def test_moment_without_wal_and_backup_that_is_not_there_are_said(home: Home) -> None:
    assert home.hie("backup", "list").stdout == ""
    said = home.hie("restore", "--into", "x", status=1).stderr
    assert said.strip() == "hie: There is no complete backup in var/backup"
    said = home.hie("restore", "--into", "x", "--no-wal", "--at", "2026-01-01T00:00:00", status=1).stderr
    assert said.strip() == "hie: --at needs the WAL; --no-wal leaves it out"
    assert not (home.folder / "x").exists()
