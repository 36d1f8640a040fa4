"""Rows of positions, for ``near``: in ix_number, the latitude as lo and the longitude as hi.

https://hl7.org/fhir/R4/location.html#positional-searching; degrees of WGS 84.
"""

from typing import Final

from fhir_server.index.quantities import decimal_of
from fhir_server.index.rows import IndexRows
from fhir_server.index.walker import Emit
from hie.core.fhir.json import Json

POSITION_TYPES: Final = frozenset({"Location.position"})


def position_emit(params: tuple[int, ...]) -> Emit:
    """Return what adds the row of a position for each of `params`."""

    def emit(value: Json, rows: IndexRows) -> None:
        if type(value) is not dict:
            return
        latitude, longitude = decimal_of(value.get("latitude")), decimal_of(value.get("longitude"))
        if latitude is not None and longitude is not None and abs(latitude) <= 90 and abs(longitude) <= 180:  # noqa: PLR2004 - degrees
            rows.number += ((param, latitude, longitude) for param in params)

    return emit
