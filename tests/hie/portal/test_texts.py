"""Every text stands in both languages and is used; every key that a page asks for is there."""

import re
from importlib.resources import files
from typing import get_args

import pytest

from analytics.detectors import ears
from fhir_server.subscriptions.definition import Channel
from hie.core import errors
from hie.core.oversight import Group
from hie.portal.entries import Kind
from hie.portal.jobs import KINDS, STATES
from hie.portal.language import Language, say, say_code, texts
from hie.portal.results import Flag
from hie.portal.roles import NAVIGATION, Role
from hie.portal.silence import Voice
from hie.portal.subscriptions import STATUSES

# Groups whose keys are made of codes: by the page, of values that the tests below go through.
CODES = (
    "gender",
    "encounter-class",
    "status",
    "priority",
    "number",
    "stage",
    "failure",
    "job-state",
    "job-kind",
    "job-file",
    "subscription-status",
    "channel",
    "event",
    "access-deed",
    "access-outcome",
    "access-purpose",
    "access-type",
    "access-who",
    "emergency-reason",
    "label",
    "project-dates",
    "project-purpose",
    "project-region",
    "project-report",
    "project-role",
    "project-state",
    "projects.said",
    "processing-field",
    "processing-state",
    "receipt-event",
    "receipt-provision",
    "rights-action",
    "rights-kind",
    "rights-state",
    "error.title",
    "error.help",
)


def sources() -> str:
    """Return all templates and modules of the portal in one text."""
    root = files("hie.portal")
    found = [entry.read_text(encoding="utf-8") for entry in root.iterdir() if entry.name.endswith(".py")]
    found += [entry.read_text(encoding="utf-8") for entry in root.joinpath("templates").iterdir()]
    return "\n".join(found)


def test_every_text_stands_in_both_languages() -> None:
    assert texts()
    for key, pair in texts().items():
        for language in Language:
            assert pair[language].strip() or key == "span.joint", key
        names = [set(re.findall(r"\{(\w+)\}", text)) for text in pair.values()]
        assert names[0] == names[1], key


def test_every_key_that_a_source_names_has_a_text() -> None:
    asked = re.findall(r"""\bsay\(\s*["']([\w.-]+)["']\s*[,)]""", sources())
    assert len(asked) > 50
    assert [key for key in asked if key not in texts()] == []


def test_every_text_is_used() -> None:
    source = sources()
    prefixes = set(re.findall(r"""["']([a-z-]+(?:\.[a-z-]+)*\.)["'] ~""", source))
    prefixes |= set(re.findall(r"""f["']([a-z-]+\.)\{""", source))
    prefixes |= {f"{group}." for group in CODES}
    unused = [
        key
        for key in texts()
        if f'"{key}"' not in source and f"'{key}'" not in source and not key.startswith(tuple(prefixes))
    ]
    assert unused == []


@pytest.mark.parametrize("language", Language)
def test_every_value_of_ours_has_a_text(language: Language) -> None:
    keys = [f"kind.{kind}" for kind in Kind]
    keys += [f"flag.{flag}" for flag in Flag if flag and flag is not Flag.MARKED]
    keys += [f"role.{role}" for role in Role]
    keys += [f"voice.{voice}" for voice in Voice]
    keys += [f"job-state.{state}" for state in (*STATES, "cancelled")]
    keys += [f"job-kind.{kind}" for kind in KINDS]
    keys += [f"job-file.{group}" for group in get_args(Group)]
    keys += [f"subscription-status.{status}" for status in STATUSES]
    keys += [f"channel.{channel}" for channel in get_args(Channel)]
    keys += [f"event.{method}" for method in ("POST", "PUT", "PATCH", "DELETE")]
    errors_of = ("request", "not-found", "forbidden", "unavailable", "fault", "job", "subscription")
    keys += [f"error.{part}.{what}" for part in ("title", "help") for what in errors_of]
    keys += [link.text for links in NAVIGATION.values() for link in links]
    keys += [f"detector.{detector.name}{rest}" for detector in ears.DETECTORS for rest in ("", ".short")]
    keys += [f"weekday.{day}" for day in range(7)]
    assert all(say(key, language) for key in keys)


def test_every_failure_of_a_message_has_a_text() -> None:
    classes = [errors.MessageError]
    for each in classes:
        classes += each.__subclasses__()
    names = [each.__name__ for each in classes]
    names += ["InvalidResourceError", "InvalidReferenceError", "MultipleMatchesError", "UnavailableError"]
    names += ["LockError", "InternalError", "PayloadTooLargeError", "TimedOutError"]
    assert [name for name in names if say_code("failure", name, Language.ZH) == name] == []


def test_unknown_code_is_shown_as_it_came() -> None:
    assert say_code("status", "brand-new", Language.EN) == "brand-new"


@pytest.mark.parametrize("stage", ["read", "convert", "store"])
def test_stage_of_the_gateway_has_a_text(stage: str) -> None:
    assert say_code("stage", stage, Language.ZH) != stage
