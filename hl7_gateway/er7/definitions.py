"""What HL7 v2 defines in each version: segments, fields, data types and message structures.

Compiled from hl7apy's version modules (2.1 to 2.8.2), each version when it is first asked for. Read-only
tables, no parsing. A version that hl7apy lacks is served by the tables nearest to it: 2.7.1 by those of
2.7, 2.9 by those of 2.8.2.
"""

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from hl7apy import SUPPORTED_LIBRARIES

UNBOUNDED = -1

_VERSIONS: list[tuple[tuple[int, ...], str]] = sorted(
    (tuple(map(int, version.split("."))), version) for version in SUPPORTED_LIBRARIES
)
_NUMBER = re.compile(r"2(?:\.\d{1,2}){1,2}")
# What MSH-12 is taken for when it is empty or no number: the version that most senders declare.
_UNKNOWN = "2.5.1"

Reference = Sequence[Any]
"""hl7apy's own nested tuples and lists; never leaves this module."""


@dataclass(frozen=True, slots=True)
class FieldDefinition:
    """A field of a segment or a component of a data type.

    `name` is "PID-3" or "CX.4", `title` hl7apy's ("PATIENT_IDENTIFIER_LIST"), `table` "0203" or "",
    `maximum` -1 when it repeats without limit, and 0 when the version reserves the place or withdrew the
    field (data type "" or "WD").
    """

    name: str
    title: str
    datatype: str
    table: str
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Element:
    """A segment or a group in a message structure; `children` is () for a segment."""

    name: str
    kind: Literal["segment", "sequence", "choice"]
    minimum: int
    maximum: int
    children: "tuple[Element, ...]" = ()

    @property
    def is_group(self) -> bool:
        """Whether the element is a group of segments."""
        return self.kind != "segment"

    @property
    def repeats(self) -> bool:
        """Whether it may occur more than once."""
        return self.maximum != 1


class Definitions:
    """The tables of one version of the standard."""

    def __init__(self, version: str) -> None:
        """Take a version that hl7apy has ("2.5.1"), KeyError otherwise."""
        self.version = version
        module = importlib.import_module(SUPPORTED_LIBRARIES[version])
        self._messages: dict[str, Reference] = module.MESSAGES
        self._segments: dict[str, Reference] = module.SEGMENTS
        self._component_lists: dict[str, Reference] = module.DATATYPES_STRUCTS
        self._tables: dict[str, Sequence[Any]] = module.ELEMENTS["Table"]
        self._compiled: dict[str, Element] = {}

    def has_segment(self, name: str) -> bool:
        """Whether the version defines the segment."""
        return name in self._segments

    def has_structure(self, name: str) -> bool:
        """Whether the version defines the message structure."""
        return name in self._messages

    def structure(self, name: str) -> Element | None:
        """Return the tree of a message structure ("ADT_A01"), None when the version has none of that name."""
        known = self._compiled.get(name)
        if known is None and name in self._messages:
            known = self._compiled[name] = _element(name, self._messages[name], (1, 1))
        return known

    def segment(self, name: str) -> tuple[FieldDefinition, ...]:
        """Return the fields of a segment in order, () when the version does not define it."""
        return _fields("-", self._segments.get(name))

    def datatype(self, name: str) -> tuple[FieldDefinition, ...]:
        """Return the components of a data type in order, () when it is primitive or unknown."""
        return _fields(".", self._component_lists.get(name))

    def field(self, segment: str, number: int) -> FieldDefinition | None:
        """Return the definition of a field ("PID", 3), None when the version has none."""
        wanted = f"{segment}-{number}"
        return next((field for field in self.segment(segment) if field.name == wanted), None)

    def table(self, number: str) -> tuple[str, ...]:
        """Return the codes that the version lists for a table ("0001"), () when it lists none."""
        entry = self._tables.get(f"HL7{number}")
        return tuple(entry[1]) if entry else ()


def nearest_version(version: str) -> str:
    """Return the version whose tables serve a message of `version` (MSH-12.1), which may be empty or unknown.

    >>> nearest_version("2.7.1"), nearest_version("2.9"), nearest_version("2.3.1"), nearest_version("")
    ('2.7', '2.8.2', '2.3.1', '2.5.1')
    """
    if version in SUPPORTED_LIBRARIES:
        return version
    if not _NUMBER.fullmatch(version):
        return _UNKNOWN
    wanted = tuple(map(int, version.split(".")))
    earlier = [name for number, name in _VERSIONS if number <= wanted]
    return earlier[-1] if earlier else _VERSIONS[0][1]


@lru_cache(maxsize=len(_VERSIONS))
def _load(version: str) -> Definitions:
    return Definitions(version)


def definitions(version: str) -> Definitions:
    """Return the tables that serve a message of `version`, loaded once in a process."""
    return _load(nearest_version(version))


def at_or_after(version: str) -> list[str]:
    """Return the version whose tables serve `version` and all later ones, nearest first."""
    names = [name for _, name in _VERSIONS]
    return names[names.index(nearest_version(version)) :]


def before(version: str) -> list[str]:
    """Return all versions before the one whose tables serve `version`, nearest first."""
    names = [name for _, name in _VERSIONS]
    return names[: names.index(nearest_version(version))][::-1]


def _element(name: str, reference: Reference, cardinality: tuple[int, int], kind: str = "GRP") -> Element:
    minimum, maximum = cardinality
    if kind == "SEG":
        return Element(name, "segment", minimum, maximum)
    children = tuple(
        [_element(child, inner, limits, sort) for child, inner, limits, sort in reference[1] or ()]
    )
    return Element(name, "choice" if reference[0] == "choice" else "sequence", minimum, maximum, children)


def _fields(mark: str, reference: Reference | None) -> tuple[FieldDefinition, ...]:
    if not reference:
        return ()
    # Of hl7apy 1.3.5's segments, ORO of 2.1 lacks the word "sequence", and QRD, QRF, URD and URS of 2.7
    # have no fields.
    entries = reference[1:] and reference[1] if isinstance(reference[0], str) else reference
    return tuple([_field(mark, entry) for entry in entries if entry[1] is not None])


def _field(mark: str, entry: Reference) -> FieldDefinition:
    name, reference, (minimum, maximum), _ = entry
    owner, _, number = name.rpartition("_")
    # A field is ('leaf' | 'sequence', structure, data type, title, table, length); RX1-30 of 2.1 names a
    # second data type.
    *_, datatype, title, table, _ = reference
    return FieldDefinition(
        f"{owner}{mark}{number}", title, datatype or "", (table or "").removeprefix("HL7"), minimum, maximum
    )
