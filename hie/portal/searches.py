"""Searches through the `ResourceStore` port, page after page."""

import re
from collections.abc import Iterable, Iterator

from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject, loads
from hie.core.ports import ResourceStore, SearchPage


def pages(
    transaction: Transaction, store: ResourceStore, resource_type: str, parameters: list[tuple[str, str]]
) -> Iterator[SearchPage]:
    """Yield the pages of a search up to its end, each when it is asked for."""
    cursor: list[tuple[str, str]] = []
    while True:
        page = store.search(transaction, resource_type, [*parameters, *cursor])
        yield page
        if page.next_cursor is None:
            return
        cursor = [("_cursor", page.next_cursor)]


def every(
    transaction: Transaction, store: ResourceStore, resource_type: str, parameters: list[tuple[str, str]]
) -> list[JsonObject]:
    """Return all resources that a search finds, included ones among them."""
    found = pages(transaction, store, resource_type, parameters)
    return [resource for page in found for resource in resources(page)]


def resources(page: SearchPage, mode: str | None = None) -> list[JsonObject]:
    """Return the resources of a page in order; only matches or only included ones if `mode` says so."""
    return [
        loads(entry.resource.body)
        for entry in page.entries
        if entry.resource.body is not None and mode in {None, entry.mode}
    ]


def any_of(values: Iterable[str]) -> str:
    """Return the parameter value that means any of `values`."""
    return ",".join(escape(value) for value in values)


def escape(value: str) -> str:
    """Return `value` as one value of a search parameter, https://hl7.org/fhir/R4/search.html#escaping."""
    return re.sub(r"([\\,|$])", r"\\\1", value)
