"""SQL text with its parameters, so that values never become text."""

from collections.abc import Iterable
from typing import NamedTuple


class Sql(NamedTuple):
    """A piece of SQL with ``%s`` for each of `params`, in order."""

    text: str
    params: tuple[object, ...] = ()


def joined(separator: str, pieces: Iterable[Sql]) -> Sql:
    """Return `pieces` with `separator` between them."""
    ordered = list(pieces)
    return Sql(
        separator.join(piece.text for piece in ordered),
        tuple(param for piece in ordered for param in piece.params),
    )


def all_of(pieces: Iterable[Sql]) -> Sql:
    """Return the conjunction of `pieces`; true when there is none."""
    return joined(" AND ", pieces) if (pieces := list(pieces)) else Sql("true")


def any_of(pieces: Iterable[Sql]) -> Sql:
    """Return the disjunction of `pieces`, in parentheses; false when there is none."""
    ordered = list(pieces)
    if not ordered:
        return Sql("false")
    if len(ordered) == 1:
        return ordered[0]
    inner = joined(" OR ", (Sql(f"({piece.text})", piece.params) for piece in ordered))
    return Sql(f"({inner.text})", inner.params)
