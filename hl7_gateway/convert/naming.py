"""The names of resources: business keys, conditions on them in URLs, and name-based UUIDs.

https://hl7.org/fhir/R4/http.html#cond-update, https://hl7.org/fhir/R4/search.html#escaping,
https://www.rfc-editor.org/rfc/rfc4122#section-4.3
"""

from functools import lru_cache
from hashlib import sha1
from typing import NamedTuple
from urllib.parse import quote
from uuid import NAMESPACE_URL, UUID, uuid5

FULL_URLS: UUID = uuid5(NAMESPACE_URL, "http://hl7.org/fhir/R4/bundle.html#Bundle.entry.fullUrl")
"""The namespace of the names of resources in a Bundle."""

# The variant bits of RFC 4122 (10xx) laid over the ninth byte's first hexadecimal digit.
_VARIANT = dict(zip("0123456789abcdef", "89ab89ab89ab89ab", strict=True))

IDENTIFIERS: UUID = NAMESPACE_URL
"""The namespace of derived identifiers."""

# By identity: a UUID computes its octets, and its hash, anew each time.
_OCTETS = {id(each): each.bytes for each in (FULL_URLS, IDENTIFIERS)}

Key = tuple[str, str]
"""A business identifier: system and value."""


class Address(NamedTuple):
    """How a resource is named in a Bundle (`urn:uuid:`) and found in the store (`identifier=...`)."""

    full_url: str
    condition: str


@lru_cache(maxsize=16384)
def address(kind: str, key: Key) -> Address:
    """Return the address of a resource; the same kind and key have the same in every Bundle."""
    name = name_uuid(FULL_URLS, f"{kind}|{key[0]}|{key[1]}")
    return Address(f"urn:uuid:{name}", f"identifier={search_value(key)}")


def search_value(key: Key) -> str:
    """Return `system|value` as the value of a token parameter: FHIR's escapes, then percent-encoding."""
    return f"{_system(key[0])}%7C{_token(key[1])}"


def name_uuid(namespace: UUID, name: str) -> str:
    """Return the text of ``uuid.uuid5(namespace, name)`` in a quarter of its time; each resource needs it."""
    octets = _OCTETS.get(id(namespace)) or namespace.bytes
    text = sha1(octets + name.encode(), usedforsecurity=False).hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


def derived_address(key: Key) -> Address:
    """Return the address of a resource whose key is derived: its value is a name-based UUID already."""
    return Address(f"urn:uuid:{key[1]}", f"identifier={_system(key[0])}%7C{key[1]}")


@lru_cache(maxsize=4096)
def _system(uri: str) -> str:
    return _token(uri)


def _token(text: str) -> str:
    if text.isalnum() and text.isascii():
        return text
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    for reserved in "|,$":
        if reserved in text:
            text = text.replace(reserved, "\\" + reserved)
    return quote(text, safe=":/")
