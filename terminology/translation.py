"""Code translation by concept maps: the IG's code-system maps, and the names of coding systems (table 0396).

It answers from memory and knows nothing of messages or senders. A code that a map has no target for is not
translated; nothing is guessed. `additions` of a map file are rows beyond the guide, each with its source.

https://hl7.org/fhir/R4/conceptmap.html; maps: https://build.fhir.org/ig/HL7/v2-to-fhir/coding_system_maps.html
"""

import re
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from hie.core.errors import ConfigurationError
from hie.core.ports import Coding

SOURCE_SUFFIX = ".source"
_TARGET_LENGTH = 6
_TABLE = re.compile(r"HL7([0-9]{4})\Z")
_INTEGER = "<integer>"


@dataclass(frozen=True, slots=True)
class ConceptMap:
    """One map: targets by v2 code, and the v2 codes themselves as Codings of their table.

    `patterns` are targets of codes that hold a number ("Q<integer>H"), with the part before and behind it.
    """

    name: str
    table: str | None
    targets: dict[str, Coding]
    sources: dict[str, Coding]
    patterns: list[tuple[re.Pattern[str], Coding]] = field(default_factory=list)

    def translate(self, code: str) -> Coding | None:
        """Return the target of `code`, None when there is none."""
        target = self.targets.get(code)
        if target is not None:
            return target
        for pattern, coding in self.patterns:
            match = pattern.match(code)
            if match is not None:
                return Coding(
                    coding.system,
                    coding.code.replace(_INTEGER, match[1]),
                    coding.display.replace(_INTEGER, match[1]) if coding.display is not None else None,
                )
        return None


class ConceptMaps:
    """Every concept map of the folder `concept_maps`, read when first asked for; the `Translator` port.

    `translate("AdministrativeSex", "F")` asks the IG's map of that name.
    `translate("AdministrativeSex.source", "F")` gives the code in its own v2 table, when the table has it.
    `translate("HL70396", "LN")` gives the URI of a coding system as the code of the target.
    """

    def __init__(self, folder: Traversable | None = None) -> None:
        """Take the folder of the map files; by default the one of this package."""
        self._folder = folder if folder is not None else resources.files(__package__).joinpath("concept_maps")
        self._maps: dict[str, ConceptMap | None] = {}
        self._answers: dict[str, dict[str, Coding]] = {}

    def names(self) -> list[str]:
        """Return the names of all maps in order."""
        return sorted(
            path.name.removesuffix(".yaml") for path in self._folder.iterdir() if path.name.endswith(".yaml")
        )

    def find(self, name: str) -> ConceptMap:
        """Return the map `name`; raises ConfigurationError when there is none or its file is wrong."""
        known = self._maps.get(name)
        if known is None:
            known = self._read(name)
            self._maps[name] = known
        return known

    def translate(self, concept_map: str, code: str) -> Coding | None:
        """Return the target of `code` in `concept_map`, None where the map has none.

        Raises ConfigurationError for a map that does not exist.
        """
        answers = self._answers.get(concept_map)
        if answers is None:
            answers = self._open(concept_map)
        answer = answers.get(code)
        if answer is not None:
            return answer
        found = self._maps.get(concept_map)
        return found.translate(code) if found is not None and found.patterns else None

    def _open(self, concept_map: str) -> dict[str, Coding]:
        if concept_map.endswith(SOURCE_SUFFIX):
            answers = self.find(concept_map.removesuffix(SOURCE_SUFFIX)).sources
        else:
            answers = self.find(concept_map).targets
        self._answers[concept_map] = answers
        return answers

    def _read(self, name: str) -> ConceptMap:
        file = self._folder.joinpath(f"{name}.yaml")
        try:
            text = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
        except OSError as error:
            raise ConfigurationError(f"There is no concept map `{name}`") from error
        except yaml.YAMLError as error:
            raise ConfigurationError(f"The concept map `{name}` is not YAML: {error}") from error
        try:
            return _compile(name, text)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"The concept map `{name}` has a row of the wrong form: {error!r}"
            ) from error


def _compile(name: str, text: dict[str, Any]) -> ConceptMap:
    table, systems = text["table"], text["systems"]
    result = ConceptMap(name, table, {}, {})
    number = _TABLE.match(table) if table is not None else None
    own = f"http://terminology.hl7.org/CodeSystem/v2-{number[1]}" if number is not None else None
    _add_rows(result, text["rows"], own, systems)
    for addition in text.get("additions", ()):
        _add_rows(result, addition["rows"], addition.get("system"), systems)
    return result


def _add_rows(result: ConceptMap, rows: list[list[str | int]], own: str | None, systems: list[str]) -> None:
    """Add rows whose v2 codes belong to the code system `own`; None where they belong to the sender."""
    for row in rows:
        code, text = str(row[1]), str(row[2])
        if own is not None and _INTEGER not in code:
            result.sources.setdefault(code, Coding(own, code, text or None))
        if len(row) < _TARGET_LENGTH:
            continue
        target = Coding(systems[int(row[5])], str(row[3]), str(row[4]) or None)
        if _INTEGER in code:
            before, after = code.split(_INTEGER, 1)
            pattern = re.compile(f"{re.escape(before)}([1-9][0-9]*){re.escape(after)}\\Z")
            result.patterns.append((pattern, target))
        else:
            # The first of several targets holds: the IG leaves the choice to the site (SegmentActionCode U).
            result.targets.setdefault(code, target)
