"""Rows of ix_reference: what a resource points at.

A resource of this server stands as "Type/id" however it was written; other
URLs as written; a canonical with and without its version
(https://hl7.org/fhir/R4/search.html#reference). References to contained resources
(``#p1``) stand as written too: no search for a reference finds them, but chains lead on
into what is contained. From there ``#`` alone leads to the container.
"""

import re
from functools import lru_cache
from typing import Final

from fhir_server.definitions.search_parameters import type_number
from fhir_server.index.contained import local_key
from fhir_server.index.hashing import NO_CODE, hash64
from fhir_server.index.rows import IndexRows
from fhir_server.index.tokens import token_emit, tokens_of
from fhir_server.index.walker import Emit, Predicate
from hie.core.fhir.json import Json

Target = tuple[int, int | None]

# A reference is there, but it leads to no resource: it has no URL at all, or criteria for one.
_NOWHERE: Final[Target] = (NO_CODE, None)
# Type/id, with or without /_history/version (https://hl7.org/fhir/R4/references.html#literal).
_RELATIVE: Final = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")


# The resources of one message point at the same few others.
@lru_cache(maxsize=8_192)
def local_target(reference: str, base_url: str) -> tuple[str, str] | None:
    """Return type and id of the resource of this server that `reference` names, None for any other.

    `base_url` is without a slash at its end.

    >>> local_target("http://hie.example/fhir/Patient/1/_history/2", "http://hie.example/fhir")
    ('Patient', '1')
    """
    if reference.startswith(base_url) and reference[len(base_url) : len(base_url) + 1] == "/":
        reference = reference[len(base_url) + 1 :]
    match = _RELATIVE.fullmatch(reference)
    if match is None or type_number(match[1]) is None:
        return None
    return match[1], match[2]


@lru_cache(maxsize=8_192)
def target_of(reference: str, base_url: str) -> Target | None:
    """Return hash and type number of what a literal `reference` names, None where it names nothing."""
    if not reference or reference[0] == "#" or "?" in reference:
        return None
    local = local_target(reference, base_url)
    if local is None:
        return hash64(reference), None
    return hash64(f"{local[0]}/{local[1]}"), type_number(local[0])


def reference_emit(params: tuple[int, ...], identifier_params: tuple[int, ...], base_url: str) -> Emit:
    """Return what adds the rows of a Reference: its target, and the tokens of its identifier."""
    identifier = tokens_of("Identifier", None)
    assert identifier is not None  # noqa: S101 - the table of readers has it
    emit_identifier = token_emit(identifier, identifier_params)

    def emit(value: Json, rows: IndexRows) -> None:
        if type(value) is not dict:
            return
        literal = value.get("reference")
        target = (_target(literal, base_url, rows.container) if type(literal) is str else None) or _NOWHERE
        for param in params:
            rows.reference.append((param, *target))
        if "identifier" in value:
            emit_identifier(value["identifier"], rows)

    return emit


def _target(literal: str, base_url: str, container: str) -> Target | None:
    """Return what a reference leads to, inside the resource or out of it; `container` is what ``#`` means."""
    if literal[:1] != "#":
        return target_of(literal, base_url)
    if len(literal) > 1:
        return local_key(literal[1:]), None
    return target_of(container, base_url)


def canonical_emit(params: tuple[int, ...], base_url: str) -> Emit:
    """Return what adds the rows of a canonical or uri: as written, and without version and fragment."""

    def emit(value: Json, rows: IndexRows) -> None:
        if type(value) is not str:
            return
        whole = value.partition("#")[0]
        for text in dict.fromkeys((whole, whole.partition("|")[0])):
            target = target_of(text, base_url)
            if target is not None:
                for param in params:
                    rows.reference.append((param, *target))

    return emit


def resource_emit(params: tuple[int, ...]) -> Emit:
    """Return what adds the row of a resource inside another (Bundle.entry.resource): its own type and id."""

    def emit(value: Json, rows: IndexRows) -> None:
        if type(value) is dict and type(value.get("id")) is str and type(value.get("resourceType")) is str:
            number = type_number(value["resourceType"])
            if number is not None:
                target = hash64(f"{value['resourceType']}/{value['id']}")
                for param in params:
                    rows.reference.append((param, target, number))

    return emit


def leads_to(resource_type: str, base_url: str) -> Predicate:
    """Return the test of ``resolve() is Type``: by the literal reference, else by Reference.type."""

    def predicate(value: Json, rows: IndexRows) -> bool:
        if type(value) is not dict:
            return False
        literal = value.get("reference")
        if type(literal) is str and literal:
            if literal[0] == "#":
                return rows.local.get(literal[1:]) == resource_type
            local = local_target(literal, base_url)
            if local is not None:
                return local[0] == resource_type
            if f"/{resource_type}/" in literal:
                return True
        return bool(value.get("type") == resource_type)

    return predicate
