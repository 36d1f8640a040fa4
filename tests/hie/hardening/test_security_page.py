"""docs/security.md and docs/operations.md say what there is: tests, settings, commands that they name."""

import re

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from hie.__main__ import app
from hie.core.settings import Settings
from tests.conftest import ROOT

PAGES = ("docs/security.md", "docs/operations.md")


def text_of(page: str) -> str:
    """Return a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def test_every_test_that_is_named_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w./-]+)`", text_of("docs/security.md")))
    assert len(named) > 50
    assert {each for each in named if not (ROOT / each).is_file()} == set()


def test_every_control_of_a_threat_has_its_test() -> None:
    for line in text_of("docs/security.md").splitlines():
        if re.match(r"\| [STRIDE] \|", line):
            assert "`tests/" in line.rpartition("|")[0].rpartition("|")[2], line


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_is_named_is_one(page: str) -> None:
    named = set(re.findall(r"\bHIE_([A-Z_]+)\b", text_of(page)))
    assert named
    assert {each for each in named if each.lower() not in Settings.model_fields} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_that_is_named_is_one(page: str) -> None:
    known = set(getattr(get_command(app), "commands", {}))
    for words in re.findall(r"\bhie ([a-z][^`\n#]*)", text_of(page)):
        parts = words.split()
        if parts[0] not in known:
            continue
        path = [part for part in parts[:2] if re.fullmatch(r"[a-z-]+", part)]
        shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        if shown.exit_code:  # the second word was an argument
            shown = CliRunner().invoke(app, [path[0], "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        assert shown.exit_code == 0, words
        for option in re.findall(r"(?<!\S)(--[a-z-]+)", words):
            assert option in shown.output, (words, option)
