"""SMART scopes as data: what each lets a client do with which resources.

The grammar of http://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html: version 2
(``patient/Observation.rs?category=laboratory``) and version 1 (``patient/*.read``), read into one form.
Pure; nothing is decided here. Whether a scope is granted is `hie.identity.scopes`' to say, what it lets
somebody see is the access policy's.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal, cast
from urllib.parse import parse_qsl, quote

from hie.core.access import Requester

Context = Literal["patient", "user", "system"]
"""The record of the patient in context, all that the user may reach, all that the client may reach."""

LETTERS: Final = "cruds"
"""create, read, update, delete, search, in the only order that a scope may have them in."""
ANY_TYPE: Final = "*"

_RESOURCE_SCOPE: Final = re.compile(
    r"(?P<context>patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]*)\."
    r"(?P<permissions>\*|read|write|c?r?u?d?s?)(?P<query>\?.+)?"
)
# "SMART App Launch 1.0 scopes": read is r and s, write is c, u and d, * is all of them.
_VERSION_1: Final = {"read": "rs", "write": "cud", "*": LETTERS}
# scope-token of RFC 6749, 3.3 (https://www.rfc-editor.org/rfc/rfc6749#section-3.3)
_TOKEN: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
# What a search parameter's value may hold unescaped in a scope.
_PLAIN: Final = ":/|,.$-_~!"


@dataclass(frozen=True, slots=True)
class ResourceScope:
    """What may be done (`permissions`, letters of LETTERS in order) with which resources.

    `resource_type` is a type or ANY_TYPE; `parameters` are search parameters that must all select a
    resource (``(("category", "laboratory"),)``), none for every resource.
    """

    context: Context
    resource_type: str
    permissions: str
    parameters: tuple[tuple[str, str], ...] = ()

    def covers(self, resource_type: str) -> bool:
        """Return whether the scope speaks of resources of `resource_type`."""
        return self.resource_type in (ANY_TYPE, resource_type)

    def permits(self, letter: str, resource_type: str) -> bool:
        """Return whether the scope lets do `letter` with some resources of `resource_type`."""
        return letter in self.permissions and self.covers(resource_type)

    def restricted_by(self, other: "ResourceScope") -> "ResourceScope | None":
        """Return what both scopes permit; None where they have nothing in common.

        >>> str(parse("user/*.cruds").restricted_by(parse("user/Observation.rs?category=laboratory")))
        'user/Observation.rs?category=laboratory'
        """
        types = {self.resource_type, other.resource_type} - {ANY_TYPE}
        permissions = "".join(letter for letter in self.permissions if letter in other.permissions)
        if self.context != other.context or len(types) > 1 or not permissions:
            return None
        # Of two values for one parameter both must hold, as in a search.
        parameters = dict.fromkeys((*self.parameters, *other.parameters))
        return ResourceScope(
            self.context, next(iter(types), ANY_TYPE), permissions, tuple(sorted(parameters))
        )

    def is_within(self, other: "ResourceScope") -> bool:
        """Return whether `other` permits all that this scope permits."""
        common = self.restricted_by(other)
        return common is not None and common.normal() == self.normal()

    def normal(self) -> "ResourceScope":
        """Return the scope with its parameters sorted."""
        return ResourceScope(
            self.context, self.resource_type, self.permissions, tuple(sorted(set(self.parameters)))
        )

    def __str__(self) -> str:
        """Return the scope in version 2."""
        query = "&".join(
            f"{quote(name, safe=_PLAIN)}={quote(value, safe=_PLAIN)}" for name, value in self.parameters
        )
        return f"{self.context}/{self.resource_type}.{self.permissions}" + (f"?{query}" if query else "")


def split(text: str) -> tuple[str, ...]:
    """Return the scopes of a `scope` parameter, each once, in order."""
    return tuple(dict.fromkeys(text.split(" "))) if text else ()


def is_token(scope: str) -> bool:
    """Return whether `scope` has only the signs that RFC 6749 lets a scope have."""
    return _TOKEN.fullmatch(scope) is not None


def parse(scope: str) -> ResourceScope | None:
    """Return `scope` as data; None for one that is not about resources, or that is malformed.

    >>> parse("patient/Observation.rs?category=laboratory").parameters
    (('category', 'laboratory'),)
    >>> parse("user/*.write").permissions
    'cud'
    """
    found = _RESOURCE_SCOPE.fullmatch(scope)
    if found is None or not found["permissions"]:
        return None
    permissions = _VERSION_1.get(found["permissions"], found["permissions"])
    if found["query"] is None:
        parameters: list[tuple[str, str]] = []
    elif found["permissions"] in _VERSION_1:
        return None  # version 1 has no parameters
    else:
        try:
            parameters = parse_qsl(found["query"][1:], keep_blank_values=True, strict_parsing=True)
        except ValueError:
            return None
        if any(not name or not value for name, value in parameters):
            return None
    return ResourceScope(cast("Context", found["context"]), found["type"], permissions, tuple(parameters))


def is_resource_scope(scope: str) -> bool:
    """Return whether `scope` begins as one about resources does; it may still be malformed."""
    return scope.partition("/")[0] in ("patient", "user", "system")


def resource_scopes(scopes: Iterable[str]) -> Iterator[ResourceScope]:
    """Yield those of `scopes` that are about resources and well-formed, in order."""
    for scope in scopes:
        found = parse(scope)
        if found is not None:
            yield found


@lru_cache(8_192)
def for_letter(requester: Requester, letter: str) -> Requester:
    """Return `requester` with those of its scopes about resources that permit `letter`, one of LETTERS."""
    if requester.scopes is None:
        return requester
    kept = tuple(
        each for each in requester.scopes if (found := parse(each)) is None or letter in found.permissions
    )
    return requester if kept == requester.scopes else replace(requester, scopes=kept)
