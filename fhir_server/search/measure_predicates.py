"""How the numbers, quantities and positions of a row compare (https://hl7.org/fhir/R4/search.html#prefix).

Pure translation to SQL. A row holds the closed span from lo to hi; nearly all are
points (lo = hi), which is why "gt" and "ge" are asked of lo, and of hi only
where the span is one: each has an index of its own.
"""

from math import cos, radians
from typing import Final

from fhir_server.search.conditions import Amount, NearIs
from fhir_server.search.sql import Sql, all_of

# Mean radius R1 of the Earth (H. Moritz, Geodetic Reference System 1980, J. Geodesy 74 (2000) 128-133).
_EARTH_METRES: Final = 6_371_008.8
_METRES_OF_DEGREE: Final = _EARTH_METRES * radians(1)


def amount_alternatives(value: Amount, row: str, columns: tuple[str, str] = ("lo", "hi")) -> list[Sql]:
    """Return how the span in `columns` compares to `value`; without prefix by implicit precision.

    One of the alternatives must hold; no row satisfies two. An index answers each from its
    beginning, while it has to read all of what satisfies a disjunction.
    """
    return _alternatives(value.prefix, row, columns, value.value, value.low, value.high)


def quantity_alternatives(
    value: Amount, row: str, *, system: str = "system_hash", code: str = "code_hash"
) -> list[Sql]:
    """Return how a quantity compares to `value`; `system` and `code` are the columns of its unit."""
    if value.canonical is not None:
        wanted = value.canonical
        unit = Sql(f"{row}.canonical_hash = %s", (wanted.unit,))
        columns = ("canonical_lo", "canonical_hi")
        amounts = _alternatives(value.prefix, row, columns, wanted.value, wanted.low, wanted.high)
        return [all_of([unit, each]) for each in amounts]
    amounts = amount_alternatives(value, row)
    if value.unit is None:
        return amounts
    wanted_system, wanted_code = value.unit
    if wanted_system is None:
        unit = Sql(f"({row}.{code} = %s OR {row}.unit_hash = %s)", (wanted_code, wanted_code))
    else:
        unit = Sql(f"{row}.{system} = %s AND {row}.{code} = %s", (wanted_system, wanted_code))
    return [all_of([each, unit]) for each in amounts]


def _alternatives(
    prefix: str, row: str, columns: tuple[str, str], value: object, low: object, high: object
) -> list[Sql]:
    """Compare a closed span to `value`, whose implicit range is [low, high)."""
    lo, hi = (f"{row}.{column}" for column in columns)
    if prefix in {"gt", "ge"}:
        sign, inverse = (">", "<=") if prefix == "gt" else (">=", "<")
        return [
            Sql(f"{lo} {sign} %s", (value,)),
            # Spans are few and have an index of their own: IS TRUE keeps that of all rows out of it.
            Sql(f"{hi} {sign} %s AND {lo} <> {hi} AND ({lo} {inverse} %s) IS TRUE", (value, value)),
        ]
    text, bounds = {
        "eq": (f"{lo} >= %s AND {hi} < %s AND {lo} < %s", (low, high, high)),
        "ne": (f"({lo} < %s OR {hi} >= %s)", (low, high)),
        "lt": (f"{lo} < %s", (value,)),
        "le": (f"{lo} <= %s", (value,)),
        "sa": (f"{lo} > %s", (value,)),
        "eb": (f"{hi} < %s AND {lo} < %s", (value, value)),
        "ap": (f"{lo} <= %s AND {hi} >= %s", (high, low)),
    }[prefix]
    return [Sql(text, bounds)]


def near_predicate(condition: NearIs, row: str) -> Sql:
    """Return whether the position in lo (latitude) and hi (longitude) lies within the distance.

    By the haversine formula (R. W. Sinnott, Virtues of the Haversine, Sky and Telescope 68 (1984) 159).
    The band of latitudes gives the index a range.
    """
    latitude, longitude = condition.latitude, condition.longitude
    margin = condition.metres / _METRES_OF_DEGREE
    half_chord = (
        f"power(sind(({row}.lo::float8 - %s) / 2), 2)"
        f" + %s * cosd({row}.lo::float8) * power(sind(({row}.hi::float8 - %s) / 2), 2)"
    )
    return Sql(
        f"{row}.param = %s AND {row}.lo BETWEEN %s::float8::numeric AND %s::float8::numeric"
        f" AND 2 * {_EARTH_METRES} * asin(least(1, sqrt({half_chord}))) <= %s",
        (
            condition.param,
            latitude - margin,
            latitude + margin,
            latitude,
            cos(radians(latitude)),
            longitude,
            condition.metres,
        ),
    )
