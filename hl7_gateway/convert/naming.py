"""The names of resources: business keys, conditions on them in URLs, and name-based UUIDs.

https://hl7.org/fhir/R4/http.html#cond-update, https://hl7.org/fhir/R4/search.html#escaping,
https://www.rfc-editor.org/rfc/rfc4122#section-4.3
"""

import re
from functools import lru_cache
from hashlib import sha1
from operator import itemgetter
from typing import NamedTuple
from urllib.parse import quote
from uuid import NAMESPACE_URL, UUID, uuid5

FULL_URLS: UUID = uuid5(NAMESPACE_URL, "http://hl7.org/fhir/R4/bundle.html#Bundle.entry.fullUrl")
"""The namespace of the names of resources in a Bundle."""

# The variant bits of RFC 4122 (10xx) laid over the ninth byte's first hexadecimal digit.
_VARIANT = dict(zip("0123456789abcdef", "89ab89ab89ab89ab", strict=True))

# What of a hash's hexadecimal digits stands in a UUID; version and variant take the place of two others.
_PARTS = itemgetter(slice(8), slice(8, 12), slice(13, 16), 16, slice(17, 20), slice(20, 32))

IDENTIFIERS: UUID = NAMESPACE_URL
"""The namespace of derived identifiers."""

# Hashes begun with a namespace, by its identity: a UUID computes its octets, and its own hash, each time.
_BEGUN = {id(each): sha1(each.bytes, usedforsecurity=False) for each in (FULL_URLS, IDENTIFIERS)}

# What neither FHIR's escapes nor percent-encoding change: https://www.rfc-editor.org/rfc/rfc3986#section-2.3
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~:/-]*").fullmatch

Key = tuple[str, str]
"""A business identifier: system and value."""


class Address(NamedTuple):
    """How a resource is named in a Bundle (`urn:uuid:`) and found in the store (`identifier=...`)."""

    full_url: str
    condition: str


def address(kind: str, key: Key) -> Address:
    """Return the address of a resource; the same kind and key have the same in every Bundle."""
    name = name_uuid(FULL_URLS, f"{kind}|{key[0]}|{key[1]}")
    return Address(f"urn:uuid:{name}", f"identifier={search_value(key)}")


def search_value(key: Key) -> str:
    """Return `system|value` as the value of a token parameter: FHIR's escapes, then percent-encoding."""
    return f"{_system(key[0])}%7C{_token(key[1])}"


def name_uuid(namespace: UUID, name: str) -> str:
    """Return the text of ``uuid.uuid5(namespace, name)`` in a quarter of its time; each resource needs it."""
    begun = _BEGUN.get(id(namespace))
    hashed = sha1(namespace.bytes, usedforsecurity=False) if begun is None else begun.copy()
    hashed.update(name.encode())
    low, middle, high, variant, clock, node = _PARTS(hashed.hexdigest())
    return f"{low}-{middle}-5{high}-{_VARIANT[variant]}{clock}-{node}"


def derived_address(system: str, value: str) -> tuple[str, str]:
    """Return the address of a resource whose key is derived: its value is a name-based UUID already."""
    return f"urn:uuid:{value}", f"identifier={_system(system)}%7C{value}"


@lru_cache(maxsize=4096)
def _system(uri: str) -> str:
    return _token(uri)


def _token(text: str) -> str:
    if _UNRESERVED(text) is not None:
        return text
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    for reserved in "|,$":
        if reserved in text:
            text = text.replace(reserved, "\\" + reserved)
    return quote(text, safe=":/")
