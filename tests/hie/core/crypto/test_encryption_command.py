"""`hie encryption`, as an operator types it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from hie import wiring
from hie.__main__ import app
from hie.core.settings import Settings


@pytest.fixture
def settings(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of the commands: the environment of this test."""
    monkeypatch.setenv("HIE_DATABASE_URL", database_url)
    monkeypatch.setenv("HIE_VAR_DIR", str(tmp_path))
    return Settings()


def run(*arguments: str) -> str:
    """Return what a command prints."""
    result = CliRunner().invoke(app, ["encryption", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    return result.output


def test_keys_are_listed_rotated_and_dropped(settings: Settings) -> None:
    with wiring.build(settings) as exchange:
        wrapped = exchange.identity.wrapper.wrap(b"secret", name="one")
    (line,) = run("list").splitlines()
    old = line.partition("\t")[0]
    assert line.startswith(f"{old}\tfile\tcurrent\t")
    assert line.endswith("\t1 data keys")
    made, count = run("rotate").splitlines()
    new = made.removesuffix(" is the current key")
    assert (new != old, count) == (True, "1 data keys wrapped anew")
    assert run("rewrap") == "0 data keys wrapped anew\n"
    assert [each.split("\t")[2::2] for each in run("list").splitlines()] == [
        ["old", "0 data keys"],
        ["current", "1 data keys"],
    ]
    assert run("drop", old) == f"{old} is destroyed\n"
    assert [path.name for path in settings.keys.iterdir()] == [f"{new}.key"]
    with wiring.build(settings) as exchange:
        assert exchange.identity.wrapper.unwrap(wrapped, name="one") == b"secret"


def test_what_is_stored_is_changed_by_a_job_of_the_worker(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIE_ENCRYPTION", "on")
    said = run("apply")
    with wiring.build(settings) as exchange, exchange.database.reading() as transaction:
        jobs = transaction.connection.execute("SELECT id::text, kind, state FROM job").fetchall()
    assert [(f"begun as the job {identity}\n", kind, state) for identity, kind, state in jobs] == [
        (said, "reseal", "queued")
    ]
