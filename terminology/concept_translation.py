"""Answers $translate from the concept maps: the `CodeTranslator` port.

A map goes by its canonical, CANONICAL followed by its name. The maps do not say how near a target is
to the code, so no equivalence is given. https://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from hie.core.errors import NotFoundError
from hie.core.ports import Coding, Translation
from terminology.translation import ConceptMap, ConceptMaps

if TYPE_CHECKING:  # maps are read without a database
    from hie.core.db.database import Transaction

CANONICAL: Final = "http://hie.example/fhir/ConceptMap/"
_TABLE_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v2-"
_TABLE: Final = "HL7"


class ConceptMapTranslator:
    """Translates codes of the systems that the maps are from."""

    def __init__(self, maps: ConceptMaps) -> None:
        """Take the maps."""
        self._maps = maps
        self._names = frozenset(maps.names())

    def translations(
        self,
        transaction: "Transaction",  # noqa: ARG002 - these maps stand in files
        coding: Coding,
        *,
        concept_map: str | None,
        target_system: str | None,
    ) -> Sequence[Translation]:
        """Return the targets of `coding`, by the map with the canonical `concept_map` or by all.

        `target_system` keeps those of one system. Raises NotFoundError for a map that is not known.
        """
        names = sorted(self._names) if concept_map is None else [self._named(concept_map)]
        found = []
        for name in names:
            target = _target(self._maps.find(name), coding)
            if target is not None and target_system in (None, target.system):
                found.append(Translation(target, CANONICAL + quote(name)))
        return found

    def _named(self, canonical: str) -> str:
        name = unquote(canonical.removeprefix(CANONICAL))
        if not canonical.startswith(CANONICAL) or name not in self._names:
            raise NotFoundError(f"There is no concept map `{canonical}`")
        return name


def _target(concept_map: ConceptMap, coding: Coding) -> Coding | None:
    """Return the target of `coding`, None where the map is not from its system or has none."""
    source = concept_map.sources.get(coding.code)
    if source is not None:
        return concept_map.translate(coding.code) if source.system == coding.system else None
    # Codes that hold a number are of the map's own table.
    table = (concept_map.table or "").removeprefix(_TABLE)
    if concept_map.patterns and coding.system == f"{_TABLE_SYSTEM}{table}":
        return concept_map.translate(coding.code)
    return None
