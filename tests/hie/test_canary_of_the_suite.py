"""The canary that watches the whole suite finds what it is there for: `tests/canary.py`."""

import logging
import sys

import pytest

from tests.canary import ROOT, Canary, finding, names_of

NAMES = names_of('{"family": "Kanarienvogel"}\n{"name": [{"text": "金丝雀"}]}\nPASSWORD = "Vier-Wände7"\n')


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Patient 11010519491231002X was read", "identity number"),
        ("called 13900008731 back", "mobile phone"),
        (f"token eyJ{'a' * 20}.eyJ{'b' * 20}.{'c' * 20}", "token"),
        ("hash $argon2id$v=19$m=65536", "password hash"),
        ("-----BEGIN PRIVATE KEY-----", "private key"),
        ("Authorization: Bearer abcdefghij0123456789xyz", "credentials"),
        ("of Kanarienvogel, found", "name or password of a test"),
        ("姓名：金丝雀", "name or password of a test"),
        ("一只金丝雀", None),  # within Chinese text nobody can tell a name from a word
        ("Vier-Wände7", "name or password of a test"),
        ("Patient/110105194912310020 was read", None),  # the check digit is another
        ("listens on 127.0.0.1:13900", None),
        ("took 0.13900008731 s", None),
        ("id 0c3151bd-1cbf-4d64-b04d-13900008731f", None),
        ("WWW-Authenticate: Bearer realm", None),
    ],
)
def test_what_is_a_person_s_or_a_secret_is_found(text: str, kind: str | None) -> None:
    assert finding(text, NAMES) == kind


def test_names_and_passwords_of_this_suite_are_looked_for() -> None:
    sources = (ROOT / "hie" / "identity" / "conftest.py").read_text(encoding="utf-8")
    names = names_of(sources)
    assert finding("Vier-Wände7 kosten", names) is not None
    assert finding("Canary Two", names) is not None


def test_record_is_looked_at_with_its_arguments_and_its_traceback() -> None:
    canary = Canary(NAMES)
    log = logging.Logger("hie.test")  # noqa: LOG001 - of no tree, so that the watching canary stays quiet
    log.addHandler(canary)
    log.warning("Patient %s", "Kanarienvogel")
    try:
        int("called 13900008731")
    except ValueError:
        log.warning("fault", exc_info=sys.exc_info())
    log.warning("nothing")
    assert [each.partition(" in ")[0] for each in canary.found] == [
        "name or password of a test",
        "mobile phone",
    ]
    assert canary.records == 3


def test_canary_watches_this_run(pytestconfig: pytest.Config) -> None:
    canary = pytestconfig.pluginmanager.get_plugin("canary-of-logs")
    assert canary in logging.getLogger().handlers
