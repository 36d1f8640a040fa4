"""The contents that a resource carries in itself: Binary, and Attachment wherever it stands.

https://hl7.org/fhir/R4/binary.html, https://hl7.org/fhir/R4/datatypes.html#Attachment. Contained resources
and extensions are looked into as everything else is. Content behind a URL is not here.
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator
from dataclasses import dataclass

from hie.core.fhir.json import Json, JsonObject

# The elements of an Attachment: other types that have `data` have elements that it has not.
_ELEMENTS = frozenset(
    ("id", "extension", "contentType", "language", "data", "url", "size", "hash", "title", "creation")
)

_NOT_BASE64 = re.compile("[^A-Za-z0-9+/=]+")


@dataclass(frozen=True, slots=True)
class Content:
    """Content as it stands in a resource: base64 text, its declared type, and the FHIRPath of its element."""

    data: str
    content_type: str
    expression: str

    @property
    def most_bytes(self) -> int:
        """The number of bytes that the text may hold at most."""
        return len(self.data) // 4 * 3 + 3

    def head(self, size: int) -> bytes:
        """Return the first `size` bytes, or all there are."""
        wanted = (size + 2) // 3 * 4
        text = ""
        for begin in range(0, len(self.data), wanted):
            # white space may stand between the characters, however much of it
            text += _NOT_BASE64.sub("", self.data[begin : begin + wanted])
            if len(text) >= wanted:
                break
        return _decoded(text[:wanted])[:size]

    def all(self) -> bytes:
        """Return all bytes, none where the text is no base64."""
        return _decoded(self.data)


def contents_of(resource: JsonObject) -> Iterator[Content]:
    """Yield what `resource` carries, in no particular order."""
    waiting: list[tuple[str, Json]] = [(str(resource.get("resourceType", "")), resource)]
    while waiting:
        path, item = waiting.pop()
        if type(item) is dict:
            data = item.get("data")
            if isinstance(data, str) and _is_content(item):
                yield Content(data, str(item.get("contentType", "")), f"{path}.data")
            for name, value in item.items():
                if type(value) is dict or type(value) is list:
                    waiting.append((f"{path}.{name}", value))
        else:
            waiting += [
                (f"{path}[{number}]", value)
                for number, value in enumerate(item)
                if type(value) is dict or type(value) is list
            ]


def _is_content(item: JsonObject) -> bool:
    return "contentType" in item or all(name.lstrip("_") in _ELEMENTS for name in item)


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text)
    except (Error, ValueError):
        return b""
