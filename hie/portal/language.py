"""The portal's two languages: Chinese first, English complete.

Texts stand in the files of `texts/`, one a feature, one key with both languages; a key that lacks one
or stands twice stops the start, and a template that asks for an unknown key fails its test.
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
    """Return key -> language -> text; raises ConfigurationError where one lacks a language."""
    found: dict[str, dict[Language, str]] = {}
    for file in sorted(files("hie.portal").joinpath("texts").iterdir(), key=lambda file: file.name):
        for key, pair in yaml.safe_load(file.read_text(encoding="utf-8")).items():
            if sorted(pair) != ["en", "zh"]:
                raise ConfigurationError(f"{file.name}: {key} needs zh and en")
            if key in found:
                raise ConfigurationError(f"{file.name}: {key} stands in another file too")
            found[key] = {Language.ZH: pair["zh"], Language.EN: pair["en"]}
    return found


def say(key: str, language: Language, **values: object) -> str:
    """Return the text of `key` with its ``{names}`` filled; raises ConfigurationError for an unknown key."""
    pair = texts().get(key)
    if pair is None:
        raise ConfigurationError(f"No text {key} in hie/portal/texts")
    return pair[language].format(**values) if values else pair[language]


def say_code(group: str, code: str, language: Language) -> str:
    """Return the text of a FHIR code (``gender.male``), or the code itself where no text is known."""
    pair = texts().get(f"{group}.{code}")
    return pair[language] if pair else code
