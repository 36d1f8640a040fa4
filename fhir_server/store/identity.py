"""Ids and type numbers of resources (https://hl7.org/fhir/R4/resource.html#id)."""

import re
from datetime import datetime
from os import urandom
from typing import Final

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from hie.core.errors import RequestError, UnknownResourceTypeError

TYPE_NUMBER: Final[dict[str, int]] = {name: number for number, name in enumerate(R4_RESOURCE_TYPES, start=1)}
TYPE_NAME: Final[dict[int, str]] = {number: name for name, number in TYPE_NUMBER.items()}

# https://hl7.org/fhir/R4/datatypes.html#id
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def type_number(resource_type: str, *, expression: str | None = None) -> int:
    """Return the number of `resource_type`; raises UnknownResourceTypeError."""
    number = TYPE_NUMBER.get(resource_type)
    if number is None:
        raise UnknownResourceTypeError(
            f"`{resource_type}` is not a resource type of FHIR R4", expression=expression
        )
    return number


def is_id(text: object) -> bool:
    """Say whether `text` is a FHIR id."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def check_id(text: str, *, expression: str | None = None) -> str:
    """Return `text` if it is a FHIR id; raises RequestError."""
    if not is_id(text):
        raise RequestError(
            f"`{text}` is not a FHIR id: 1 to 64 of the characters A-Z, a-z, 0-9, `-` and `.`",
            expression=expression,
        )
    return text


def new_id(now: datetime) -> str:
    """Return a new id: a UUID of version 7, so that ids made together lie together in the index.

    https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
    """
    value = int(now.timestamp() * 1000) << 80 | int.from_bytes(urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
