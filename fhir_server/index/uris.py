"""Rows of ix_uri: uri, url, canonical, oid and uuid elements.

https://hl7.org/fhir/R4/search.html#uri: matched exactly, case and escaping
included; `:below` and `:above` go by the text.
"""

from typing import Final

from fhir_server.index.hashing import hash64
from fhir_server.index.rows import IndexRows
from fhir_server.index.walker import Emit
from hie.core.fhir.json import Json

# Longer ones are found by their hash; the text serves `:below` and stands in a
# B-tree, whose entries may have 2,704 bytes.
LONGEST: Final = 600
URI_TYPES: Final = frozenset({"uri", "url", "canonical", "oid", "uuid", "string"})


def uri_emit(params: tuple[int, ...]) -> Emit:
    """Return what adds the row of a uri for each of `params`."""

    def emit(value: Json, rows: IndexRows) -> None:
        if type(value) is str and value:
            hashed = hash64(value)
            text = value[:LONGEST].replace("\0", "")  # PostgreSQL's text holds no U+0000
            for param in params:
                rows.uri.append((param, hashed, text))

    return emit
