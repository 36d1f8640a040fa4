"""What a kick-off request of `$export` asks for.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#query-parameters. Read and checked here, so that what
cannot be exported is refused before a job begins; under ``Prefer: handling=lenient`` what is not
understood is left out and named in the manifest instead.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl

from fhir_server.compartments.definitions import load_compartments
from fhir_server.operations.inputs import Inputs
from fhir_server.store.identity import TYPE_NUMBER
from hie.core.errors import (
    Issue,
    NotAcceptableError,
    ParameterValueError,
    RequestError,
    UnknownParameterError,
)
from hie.core.fhir.json import JsonObject

# "The server SHALL accept" these names of NDJSON.
FORMATS: Final = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
# https://hl7.org/fhir/uv/bulkdata/STU2/ValueSet-include-associated-data.html
ASSOCIATED: Final = frozenset({"LatestProvenanceResources", "RelevantProvenanceResources"})

_QUERY: Final = re.compile(r"([A-Z][A-Za-z]+)\?(.*)", re.DOTALL)
# A comma inside a query separates values; between queries a type follows it.
_BETWEEN: Final = re.compile(r",(?=[A-Z][A-Za-z]+\?)")
# "FHIR search response parameters such as `_include` and `_sort` SHALL NOT be used."
_RESPONSE: Final = frozenset(
    {"_include", "_revinclude", "_sort", "_count", "_total", "_summary", "_elements", "_contained", "_cursor"}
)


@dataclass(frozen=True, slots=True)
class TypeFilter:
    """One query of `_typeFilter`: resources of `type` that match all `parameters`."""

    type: str
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class KickOff:
    """An export: `level` is "system", "patient" or "group", whose id is `group`.

    `types` are the types to export, () for all of the level; `elements` is by type, "" for every type;
    `patients` are ids, () for all of the level; `ignored` says what was not understood.
    """

    level: str
    group: str | None = None
    types: tuple[str, ...] = ()
    since: datetime | None = None
    filters: tuple[TypeFilter, ...] = ()
    elements: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    patients: tuple[str, ...] = ()
    associated: tuple[str, ...] = ()
    ignored: tuple[Issue, ...] = ()

    def to_json(self) -> JsonObject:
        """Return what a job keeps of it."""
        made = asdict(self)
        made["since"] = None if self.since is None else self.since.isoformat()
        return made

    @classmethod
    def from_json(cls, kept: JsonObject) -> "KickOff":
        """Return what `to_json` kept."""
        return cls(
            level=kept["level"],
            group=kept["group"],
            types=tuple(kept["types"]),
            since=None if kept["since"] is None else datetime.fromisoformat(kept["since"]),
            filters=tuple(
                TypeFilter(each["type"], tuple((name, value) for name, value in each["parameters"]))
                for each in kept["filters"]
            ),
            elements={name: tuple(each) for name, each in kept["elements"].items()},
            patients=tuple(kept["patients"]),
            associated=tuple(kept["associated"]),
            ignored=tuple(Issue(**each) for each in kept["ignored"]),
        )

    def elements_of(self, resource_type: str) -> tuple[str, ...]:
        """Return the elements that are asked for of `resource_type`, () for all."""
        return (*self.elements.get("", ()), *self.elements.get(resource_type, ()))


class Reader:
    """Reads one kick-off; what is wrong is raised, or noted when the client is lenient."""

    def __init__(self, *, is_lenient: bool, ignored: Iterable[str] = ()) -> None:
        """Take how the client wants to be treated (``Prefer: handling=``), and unknown names."""
        self._is_lenient = is_lenient
        self._ignored: list[Issue] = []
        for name in ignored:
            self._refuse(UnknownParameterError(f"`{name}` is not a parameter of $export", expression=name))

    def read(self, inputs: Inputs, *, level: str, group: str | None, is_get: bool) -> KickOff:
        """Return the export that `inputs` ask for; raises RequestError and NotAcceptableError."""
        _check_format(inputs.one("_outputFormat"))
        types = self._types(inputs.all("_type"), level)
        since: str | None = inputs.one("_since")
        return KickOff(
            level=level,
            group=group,
            types=types,
            since=None if since is None else datetime.fromisoformat(since),
            filters=self._filters(inputs.all("_typeFilter"), types or _types_of(level)),
            elements=self._elements(inputs.all("_elements")),
            patients=self._patients(inputs.all("patient"), level, is_get=is_get),
            associated=self._associated(inputs.all("includeAssociatedData")),
            ignored=tuple(self._ignored),
        )

    def _refuse(self, error: RequestError) -> None:
        """Raise `error`, or note it for a lenient client."""
        if not self._is_lenient:
            raise error
        self._ignored.append(
            Issue("warning", error.code, f"{error.message}; it is ignored", error.expression)
        )

    def _types(self, given: Iterable[str], level: str) -> tuple[str, ...]:
        names = _listed(given)
        known = []
        for name in names:
            if name in TYPE_NUMBER:
                known.append(name)
            else:
                self._refuse(
                    ParameterValueError(f"`{name}` is not a resource type of FHIR R4", expression="_type")
                )
        if level == "system" or not known:
            if names and not known:
                raise ParameterValueError("None of the types exists", expression="_type")
            return tuple(dict.fromkeys(known))
        inside = [name for name in known if name in _types_of(level)]
        if not inside:
            raise ParameterValueError(
                f"No {' or '.join(known)} belongs to a patient; export them at system level",
                expression="_type",
            )
        for name in known:
            if name not in inside:
                self._refuse(ParameterValueError(f"No {name} belongs to a patient", expression="_type"))
        return tuple(dict.fromkeys(inside))

    def _filters(self, given: Iterable[str], types: Collection[str]) -> tuple[TypeFilter, ...]:
        made = []
        for text in (query for value in given for query in _BETWEEN.split(value)):
            try:
                made.append(_filter(text, types))
            except RequestError as error:
                self._refuse(error)
        return tuple(made)

    def _elements(self, given: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        made: dict[str, tuple[str, ...]] = {}
        for text in _listed(given):
            above, _, name = text.rpartition(".")
            if "." in above or (above and above not in TYPE_NUMBER) or not name.isalnum():
                self._refuse(
                    ParameterValueError(
                        f"`{text}` is not an element at the root of a resource", expression="_elements"
                    )
                )
                continue
            made[above] = (*made.get(above, ()), name)
        return made

    def _patients(self, given: list[JsonObject], level: str, *, is_get: bool) -> tuple[str, ...]:
        if given and level == "system":
            self._refuse(
                UnknownParameterError("`patient` is not a parameter at system level", expression="patient")
            )
            return ()
        if given and is_get:
            self._refuse(UnknownParameterError("`patient` is given by POST only", expression="patient"))
            return ()
        made = []
        for each in given:
            reference = each.get("reference")
            kind, _, identity = str(reference).rpartition("/")
            if kind.rpartition("/")[2] != "Patient" or not identity:
                raise ParameterValueError(
                    f"`{reference}` is not a reference to a Patient", expression="patient"
                )
            made.append(identity)
        return tuple(dict.fromkeys(made))

    def _associated(self, given: Iterable[str]) -> tuple[str, ...]:
        made = []
        for name in _listed(given):
            if name in ASSOCIATED:
                made.append(name)
            else:
                self._refuse(
                    ParameterValueError(
                        f"`{name}` is not supported; {' and '.join(sorted(ASSOCIATED))} are",
                        expression="includeAssociatedData",
                    )
                )
        return tuple(made)


def _types_of(level: str) -> Collection[str]:
    """Return the types that an export of `level` can hold."""
    return TYPE_NUMBER if level == "system" else load_compartments()["Patient"].types


def _listed(given: Iterable[str]) -> list[str]:
    """Return the parts of values that repeat or are separated by commas."""
    return [part.strip() for value in given for part in value.split(",") if part.strip()]


def _check_format(given: str | None) -> None:
    # A `+` that was not percent-encoded arrives as a space.
    if given is not None and given.replace(" ", "+") not in FORMATS:
        raise NotAcceptableError(
            f"The output format `{given}` is not supported; application/fhir+ndjson is",
            expression="_outputFormat",
        )


def _filter(text: str, types: Collection[str]) -> TypeFilter:
    match = _QUERY.fullmatch(text.strip())
    if match is None or match[1] not in TYPE_NUMBER:
        raise ParameterValueError(
            f"`{text}` is not a search such as `Observation?code=1234`", expression="_typeFilter"
        )
    name, query = match.groups()
    if name not in types:
        raise ParameterValueError(f"`{name}` is not among the exported types", expression="_typeFilter")
    parameters = tuple(parse_qsl(query, keep_blank_values=True))
    for code, _ in parameters:
        if code.partition(":")[0] in _RESPONSE:
            raise ParameterValueError(
                f"`{code}` says how results are shown and filters nothing", expression="_typeFilter"
            )
    return TypeFilter(name, parameters)
