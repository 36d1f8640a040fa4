"""The rules of the house: every package in the contract, no long file, docs as the code says."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from docs import generate
from hie.__main__ import app

ROOT = Path(__file__).resolve().parents[2]
FEATURES = ("hie", "fhir_server", "hl7_gateway", "booking", "analytics", "terminology")
TRACKED = subprocess.run(
    ["git", "ls-files", "-z"],  # noqa: S607 - git from the path, as everywhere
    cwd=ROOT,
    capture_output=True,
    check=True,
    text=True,
).stdout.split("\0")


def _contracts() -> list[dict[str, object]]:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts: list[dict[str, object]] = configuration["tool"]["importlinter"]["contracts"]
    return contracts


def test_every_package_is_named_in_the_floors() -> None:
    layers = next(contract["layers"] for contract in _contracts() if contract["type"] == "layers")
    assert isinstance(layers, list)
    named = {name for layer in layers for name in re.split(r"\s*[|:]\s*", layer)}
    found = {name for name in FEATURES if name != "hie"}
    for path in (ROOT / "hie").iterdir():
        if path.name.startswith("_") and path.name != "__main__.py":
            continue
        if path.suffix == ".py" or (path / "__init__.py").exists():
            found.add(f"hie.{path.stem}")
    assert found == named


def test_no_file_is_longer_than_400_lines() -> None:
    long = {
        name: lines
        for name in TRACKED
        if name.endswith(".py")
        and (lines := len((ROOT / name).read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_every_module_says_what_it_is() -> None:
    silent = [
        name
        for name in TRACKED
        if name.endswith(".py")
        and not name.startswith("tests/")
        and not (ROOT / name).read_text(encoding="utf-8").startswith(('"""', 'r"""'))
    ]
    assert silent == []


def test_generated_pages_are_what_the_code_says() -> None:
    assert generate.stale() == []


@pytest.mark.parametrize("command", sorted(command.name or "" for command in app.registered_commands))
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"hie {command}" in result.output


def test_every_command_stands_in_both_readmes() -> None:
    for readme in ("README.md", "README.zh-CN.md"):
        text = (ROOT / readme).read_text(encoding="utf-8")
        for command in app.registered_commands:
            assert f"hie {command.name}" in text, (readme, command.name)


def test_starting_the_command_line_loads_no_server(tmp_path: Path) -> None:
    heavy = ("fastapi", "celery", "pandas", "sqlalchemy")
    code = f"import sys, hie.__main__; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[]"
