"""`hie account`, `hie client`, `hie token` and `hie keys` as people run them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from typer.testing import CliRunner

from hie.__main__ import app
from tests.hie.identity.conftest import PASSWORD


@pytest.fixture
def hie(database_url: str, tmp_path: Path) -> "Command":
    """The command line on a fresh database."""
    return Command(database_url, tmp_path)


class Command:
    """Runs `hie` in a process of its own."""

    def __init__(self, database_url: str, folder: Path) -> None:
        """Take the database and the folder of the keys."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HIE_")}
        self.folder = folder
        self.environment = {**clean, "HIE_DATABASE_URL": database_url, "HIE_VAR_DIR": str(folder / "var")}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Return what came of ``hie arguments``."""
        return subprocess.run(
            [sys.executable, "-m", "hie", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            check=False,
            text=True,
        )


def test_registered_client_gets_a_token(hie: Command) -> None:
    made = hie("client", "City hospital", "--auth-method", "client_secret_basic", "--scope", "system/*.rs")
    assert made.returncode == 0, made.stderr
    found = re.match(r"client_id: (\S+)\nclient_secret: (\S{43})\n", made.stdout)
    assert found is not None
    token = hie("token", "--client", found[1], "--scope", "system/*.rs")
    assert token.returncode == 0, token.stderr
    assert token.stdout.count(".") == 2
    listed = hie("client").stdout
    assert f"{found[1]}\tCity hospital\tclient_secret_basic\tsystem/*.rs" in listed
    assert found[2] not in listed


def test_token_for_what_was_not_registered_is_refused_with_a_sentence(hie: Command) -> None:
    hie("client", "App", "--auth-method", "client_secret_post", "--scope", "system/Patient.rs", "--id", "app")
    refused = hie("token", "--client", "app", "--scope", "system/Observation.rs")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "hie token: The client registered for: system/Patient.rs.\n"
    unknown = hie("token", "--client", "nobody", "--scope", "system/*.rs")
    assert unknown.stderr == "hie token: There is no such client.\n"


def test_client_with_keys_is_registered_from_a_file(hie: Command, tmp_path: Path) -> None:
    key = ECKey.generate_key("P-384", {"kid": "one"})
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}), encoding="utf-8")
    (tmp_path / "private.json").write_text(
        json.dumps({"keys": [key.as_dict(private=True)]}), encoding="utf-8"
    )
    options = ("--auth-method", "private_key_jwt", "--scope", "system/*.cruds")
    assert hie("client", "HIS", *options, "--jwks", "keys.json").returncode == 0
    refused = hie("client", "HIS", *options, "--jwks", "private.json")
    assert refused.returncode == 1
    assert "private key" in refused.stderr


def test_keys_are_listed_and_replaced(hie: Command) -> None:
    first = hie("keys").stdout.splitlines()
    assert sorted(line.split("\t")[0] for line in first) == ["ES256", "RS256"]
    after = hie("keys", "--rotate").stdout.splitlines()
    assert set(first) < set(after)
    assert len(after) == 4
    (key,) = (hie.folder / "var" / "keys" / "encryption").iterdir()
    assert key.stat().st_mode & 0o777 == 0o600


def test_first_administrator_is_made_with_a_password_that_is_asked_for(
    hie: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in hie.environment.items():
        monkeypatch.setenv(name, value)
    arguments = ["account", "Wang.Wei", "--role", "system-administrator"]
    done = CliRunner().invoke(app, arguments, input=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    assert "added wang.wei" in done.output
    assert PASSWORD not in done.output
    assert CliRunner().invoke(app, ["account"]).output == "wang.wei\tsystem-administrator\n"
    both = [*arguments[:2], "--role", "auditor", "--role", "security-officer"]
    refused = CliRunner().invoke(app, both, input=f"{PASSWORD}\n{PASSWORD}\n")
    assert "One account cannot be auditor and security-officer" in str(refused.exception)
