"""How much one GraphQL request may ask for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one request.

    `depth`: levels of fields below one another; `fields`: fields of the document once its fragments are
    put in place; `values`: values in the result; `searches`: searches; `matches`: resources of one list.
    """

    depth: int = 20
    fields: int = 2_000
    values: int = 100_000
    searches: int = 200
    matches: int = 1_000
