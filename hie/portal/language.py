"""The portal's two languages: Chinese first, English complete.

Texts stand in `texts.yaml`, one key with both languages; a key that lacks one
stops the start, and a template that asks for an unknown key fails its test.
"""

from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

import yaml

from hie.core.errors import ConfigurationError

COOKIE: Final = "language"


class Language(StrEnum):
    """A language of the portal, by its BCP 47 tag."""

    ZH = "zh-CN"
    EN = "en"

    @classmethod
    def of(cls, tag: str | None) -> "Language":
        """Return the language that a cookie or a switch names; Chinese for anything else."""
        return cls.EN if tag == cls.EN.value else cls.ZH

    @property
    def other(self) -> "Language":
        """The one to switch to."""
        return Language.EN if self is Language.ZH else Language.ZH


@cache
def texts() -> dict[str, dict[Language, str]]:
    """Return key -> language -> text; raises ConfigurationError for a text that lacks a language."""
    raw = yaml.safe_load(files("hie.portal").joinpath("texts.yaml").read_text(encoding="utf-8"))
    found: dict[str, dict[Language, str]] = {}
    for key, pair in raw.items():
        if sorted(pair) != ["en", "zh"]:
            raise ConfigurationError(f"texts.yaml: {key} needs zh and en")
        found[key] = {Language.ZH: pair["zh"], Language.EN: pair["en"]}
    return found


def say(key: str, language: Language, **values: object) -> str:
    """Return the text of `key` with its ``{names}`` filled; raises ConfigurationError for an unknown key."""
    pair = texts().get(key)
    if pair is None:
        raise ConfigurationError(f"texts.yaml has no text {key}")
    return pair[language].format(**values) if values else pair[language]


def say_code(group: str, code: str, language: Language) -> str:
    """Return the text of a FHIR code (``gender.male``), or the code itself where no text is known."""
    pair = texts().get(f"{group}.{code}")
    return pair[language] if pair else code
