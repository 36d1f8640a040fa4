"""The criteria of conditional interactions: ``Patient?identifier=system|value``.

Criteria on one business identifier, which is what senders use, are looked up in
the token index straight away and many at once; any other criteria are a search
(https://hl7.org/fhir/R4/http.html#cond-update,
https://hl7.org/fhir/R4/search.html#escaping). Nothing is looked up here.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fhir_server.index.hashing import hash32, hash64, param_id
from fhir_server.search.result_parameters import RESULT_PARAMETERS
from fhir_server.store.identity import type_number
from fhir_server.store.lookup import Identifier, Token
from hie.core.errors import MalformedSearchError
from hie.core.fhir.json import JsonObject

_ESCAPED = re.compile(r"\\([\\,|$])")
_NEEDS_DECODING = re.compile(r"[%+&\\,$]")


@dataclass(frozen=True, slots=True)
class Criteria:
    """What selects a resource: its type and a query; `identifier` when that is one identifier."""

    type: str
    query: str
    identifier: Identifier | None
    parameters: tuple[tuple[str, str], ...]

    @property
    def selecting(self) -> tuple[tuple[str, str], ...]:
        """The parameters that select, without those that say how results are shown; sorted."""
        return tuple(
            sorted(pair for pair in self.parameters if pair[0].partition(":")[0] not in RESULT_PARAMETERS)
        )

    @property
    def locks(self) -> list[int]:
        """The locks under which nobody else makes what the criteria select.

        Of the criteria as a whole, whatever the order of their parameters, and of each identifier
        in them, which is what criteria on an identifier alone lock.
        """
        pairs = [_system_and_value(value) for name, value in self.parameters if name == "identifier"]
        inner = [_identifier(self.type, *pair).lock for pair in pairs if pair is not None]
        return [hash64(f"{self.type}?{self.selecting}"), *inner]

    def __str__(self) -> str:
        """Return the criteria without values, which may be a patient's."""
        names = "&".join(dict.fromkeys(name for name, _ in self.parameters))
        return f"{self.type}?{names}"


def parse(resource_type: str, query: str, *, expression: str | None = None) -> Criteria:
    """Return the criteria ``resource_type?query``; raises MalformedSearchError when they select nothing."""
    type_number(resource_type, expression=expression)
    if query.startswith("identifier=") and not _NEEDS_DECODING.search(query):
        parameters: tuple[tuple[str, str], ...] = (("identifier", query[11:]),)
    else:
        parameters = tuple(parse_qsl(query, keep_blank_values=True))
    if all(name.partition(":")[0] in RESULT_PARAMETERS for name, _ in parameters):
        raise MalformedSearchError(
            f"Conditional criteria on {resource_type} name no search parameter", expression=expression
        )
    if len(parameters) == 1 and parameters[0][0] == "identifier":
        pair = _system_and_value(parameters[0][1])
        if pair is not None:
            return Criteria(resource_type, query, _identifier(resource_type, *pair), parameters)
    return Criteria(resource_type, query, None, parameters)


def identifier_locks(resource_type: str, resource: JsonObject) -> list[int]:
    """Return the locks of the identifiers of `resource`.

    Whoever creates it holds them, so that conditions of several kinds that mean one thing (one by
    its number, another by name and birth date) make it once.
    """
    given = resource.get("identifier")
    items = given if isinstance(given, list) else [given]
    pairs = [(item.get("system"), item.get("value")) for item in items if isinstance(item, dict)]
    return [
        _identifier(resource_type, system, value).lock
        for system, value in pairs
        if isinstance(system, str) and isinstance(value, str)
    ]


def _identifier(resource_type: str, system: str, value: str) -> Identifier:
    return Identifier(Token(param_id(resource_type, "identifier"), hash64(value), hash32(system)), system)


def _system_and_value(text: str) -> tuple[str, str] | None:
    """Return system and value of ``system|value``, None for every other form."""
    if "\\" in text:
        parts = re.split(r"(?<!\\)((?:\\\\)*)\|", text, maxsplit=1)
        if len(parts) != 3 or re.search(r"(?<!\\)(?:\\\\)*,", text):  # noqa: PLR2004 - before, backslashes, after
            return None
        return _pair(_ESCAPED.sub(r"\1", parts[0] + parts[1]), _ESCAPED.sub(r"\1", parts[2]))
    if "," in text:
        return None
    system, bar, value = text.partition("|")
    return _pair(system, value) if bar else None


def _pair(system: str, value: str) -> tuple[str, str] | None:
    return (system, value) if system and value else None
