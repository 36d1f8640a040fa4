"""The index rows of contained resources (https://hl7.org/fhir/R4/references.html#contained).

A contained resource is found by its own values, never by those of its neighbours: each has rows of
its own. They stand in the same index tables as all others, under the negative of the search
parameter's number, so that a search that does not ask for them never meets them, and under a
negative `rid`, which is `seq` as well, made of the version of its container and its position in it.
"""

from collections.abc import Iterable
from typing import Final

from fhir_server.index.hashing import hash64
from fhir_server.index.rows import COLUMNS, CompositeRow, IndexRows

# A container has less than a million contained resources: so many do not fit into a body.
_POSITION_BITS: Final = 20
MOST_CONTAINED: Final = 1 << _POSITION_BITS


def contained_rid(seq: int, position: int) -> int:
    """Return the `rid` and `seq` of the resource at `position`, from 0, in version `seq` of its container.

    >>> contained_rid(3, 1), position_of(contained_rid(3, 1))
    (-3145729, 1)
    """
    return -(seq << _POSITION_BITS | position)


def position_of(rid: int) -> int:
    """Return the position (from 0) of the contained resource `rid` in its container."""
    return -rid & MOST_CONTAINED - 1


def local_key(resource_id: str) -> int:
    """Return the hash of a reference to the contained resource `resource_id`: of ``#id``."""
    return hash64(f"#{resource_id}")


def set_apart(rows: IndexRows) -> None:
    """Put `rows` under the negatives of their parameters."""
    for name in COLUMNS:
        setattr(rows, name, [_negative(row) for row in getattr(rows, name)])


def set_apart_numbers(params: Iterable[int]) -> tuple[int, ...]:
    """Return the numbers under which values of contained resources stand."""
    return tuple(-each for each in params)


def _negative(row: tuple[object, ...]) -> tuple[object, ...]:
    if isinstance(row, CompositeRow):
        return row._replace(param=-row.param)
    param, *values = row
    assert isinstance(param, int)  # noqa: S101 - the first column of each index table
    return (-param, *values)
