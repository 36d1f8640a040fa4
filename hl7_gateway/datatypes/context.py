"""What a data-type function needs beside the value: the sender, the v2 version, the translator.

It holds no state of the message but the list of components that a function could not use; the engine empties
it after each call. `known` is what pure functions of the sender's names made of them before: namespaces,
identifier types, coding systems, never anything of a patient.

HD to URI: v2-to-FHIR IG, data type maps HD[uri] and HD[MessageHeader.source-endpoint]
(https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-datatype-hd-to-uri.html).
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from hie.core.ports import Coding, Translator
from hl7_gateway.datatypes import primitives
from hl7_gateway.er7.message import NULL, Component, Repetition
from hl7_gateway.sender import Sender

# https://hl7.org/fhir/R4/datatypes.html#oid and #uuid
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+\Z")
_TABLE = re.compile(r"HL7[ -]?([0-9]{4})\Z")
_LOCAL = re.compile(r"(L|LB|99.*)\Z", re.DOTALL)
# What is known of one sender before all of it is forgotten, and of how many senders.
_KNOWN_MAX = 2048
_SENDERS_MAX = 256


@dataclass(slots=True)
class Context:
    """The surroundings of one message: who sent it, its version (MSH-12), and the concept maps.

    `dropped` are component numbers with the reason why the function called last did not use them.
    """

    sender: Sender
    version: str
    translator: Translator
    dropped: list[tuple[int, str]] = field(default_factory=list)
    known: dict[tuple[Any, ...], Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find what is known of the sender."""
        self.known = _known(self.sender, self.translator)  # type: ignore[arg-type]  # hashed by identity

    def keep(self, name: tuple[Any, ...], value: Any) -> None:
        """Hold `value`, which depends on `name`, sender and translator alone, and which nobody changes."""
        if len(self.known) >= _KNOWN_MAX:
            self.known.clear()
        self.known[name] = value

    def drop(self, component: int, reason: str) -> None:
        """Note that `component`, although filled, is not in the result; `reason` quotes no value."""
        self.dropped.append((component, reason))

    def drop_filled(self, rep: Repetition, components: tuple[int, ...], reason: str) -> None:
        """Drop those of `components` that hold anything."""
        size = len(rep)
        for place in components:
            if place <= size and any(text and text != NULL for text in rep[place - 1]):
                self.drop(place, reason)

    def system_for(self, authority: Repetition | Component) -> str | None:
        """Return the URI of the namespace that an HD names, None when it is empty.

        `authority` is an HD, as a repetition or as a component whose sub-components are the HD's. The
        universal id is preferred, since a namespace id only means something to its sender: ISO becomes
        `urn:oid:`, UUID and GUID `urn:uuid:`, a URI stays itself, DNS becomes `urn:dns:`. Every other
        authority is a namespace of the sender.
        """
        flat = tuple(part if isinstance(part, str) else (part[0] if part else "") for part in authority)
        namespace, universal_id, id_type = (*flat, "", "", "")[:3]
        return self.system_of(namespace, universal_id, id_type)

    def system_of(self, namespace: str, universal_id: str, id_type: str) -> str | None:
        """Return the URI of the namespace HD.1 & HD.2 & HD.3, None when all of them are empty."""
        namespace, universal_id, id_type = _plain(namespace), _plain(universal_id), _plain(id_type)
        if universal_id:
            uri = universal_uri(universal_id, id_type)
            if uri is not None:
                return uri
        if not namespace and not universal_id:
            return None
        if not universal_id:
            id_type = ""
        return self.sender.system(*(part for part in (namespace, universal_id, id_type) if part))

    def coding_system(self, name: str, oid: str = "") -> str:
        """Return the URI of a coding system by its name of table 0396 (CWE.3) and its OID (CWE.14).

        `HL7nnnn` is v2 table nnnn. A name that table 0396 does not hold, `L`, `99zzz` and no name at all
        are code systems of the sender.
        """
        place = ("coding system", name, oid)
        known: str | None = self.known.get(place)
        if known is None:
            known = self._coding_system(_plain(name), _plain(oid))
            self.keep(place, known)
        return known

    def _coding_system(self, name: str, oid: str) -> str:
        table = _TABLE.match(name)
        if table is not None:
            return f"http://terminology.hl7.org/CodeSystem/v2-{table[1]}"
        if name and not _LOCAL.match(name):
            known = self.translator.translate("HL70396", name)
            if known is not None:
                return known.code
        if oid and _OID.match(oid):
            return f"urn:oid:{oid}"
        if _URI.match(name):
            return name
        if _OID.match(name):
            return f"urn:oid:{name}"
        return self.sender.system("CodeSystem", name or "L")

    def is_coding_system(self, name: str) -> bool:
        """Whether `name` is one of table 0396, or of the names it leaves to senders (L, 99zzz)."""
        return bool(_LOCAL.match(name)) or self.translator.translate("HL70396", name) is not None

    def source_coding(self, concept_map: str, code: str) -> Coding:
        """Return `code` in the v2 table that `concept_map` maps from, else in the sender's codes."""
        known = self.translator.translate(f"{concept_map}.source", code)
        return known if known is not None else Coding(self.sender.system("CodeSystem", "L"), code)


def universal_uri(universal_id: str, id_type: str) -> str | None:
    """Return the URI that a universal id (HD.2, EI.3) of type `id_type` (table 0301) is, None if it is none.

    Without a type the form decides: an OID, a UUID or an absolute URI is what it looks like.
    """
    kind = id_type.upper()
    if kind in ("ISO", "OID", "") and _OID.match(universal_id):
        return f"urn:oid:{universal_id}"
    if kind in ("UUID", "GUID", "") and _UUID.match(universal_id):
        return f"urn:uuid:{universal_id.lower()}"
    if kind in ("URI", "URL", "") and _URI.match(universal_id):
        return universal_id
    if kind == "DNS" and universal_id.isascii() and universal_id.isprintable() and " " not in universal_id:
        return f"urn:dns:{universal_id}"
    return None


@lru_cache(maxsize=_SENDERS_MAX)
def _known(_sender: Sender, _translator: Translator) -> dict[tuple[Any, ...], Any]:
    return {}


def _plain(text: str) -> str:
    return primitives.string(text) or ""
