"""The parameters of history: `_count`, `_since`, `_at`, `_list`, and the cursor `_before`.

https://hl7.org/fhir/R4/http.html#history. Other parameters are ignored unless the client asks for strict
handling; the `self` link says which were understood.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from fhir_server.index.date_range import DateRange, date_range
from fhir_server.interactions.server import Server
from fhir_server.store.history import FeedCursor
from fhir_server.store.identity import TYPE_NUMBER
from hie.core.db.database import Transaction
from hie.core.errors import MalformedSearchError
from hie.core.fhir.json import loads

_KNOWN: Final = frozenset({"_count", "_since", "_at", "_list", "_before", "_format", "_pretty"})
_MOST_DIGITS: Final = 18  # of an int8
_REFERENCE_PARTS: Final = 2
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks of a history; `list_id` is the id of a List."""

    count: int
    since: datetime | None
    at: DateRange | None
    list_id: str | None
    before: int | None
    behind: FeedCursor | None
    applied: tuple[tuple[str, str], ...]


def read_asked(parameters: Sequence[tuple[str, str]], server: Server, *, is_lenient: bool = True) -> Asked:
    """Return what `parameters` ask for, `applied` being those that were understood.

    Raises MalformedSearchError, for an unknown one unless `is_lenient`.
    """
    given: dict[str, str] = {}
    for name, value in parameters:
        if name not in _KNOWN:
            if is_lenient:
                continue
            raise MalformedSearchError(f"`{name}` is not a parameter of history", expression=name)
        if name in given:
            raise MalformedSearchError(f"`{name}` is given twice", expression=name)
        given[name] = value
    count = _number(given, "_count")
    since = _period(given, "_since", "an instant", server)
    return Asked(
        count=server.page_size if count is None else min(count, server.page_size_limit),
        since=None if since is None else since[0],
        at=_period(given, "_at", "a date", server),
        list_id=None if "_list" not in given else given["_list"].removeprefix("List/"),
        before=None if "-" in given.get("_before", "") else _number(given, "_before"),
        behind=_place(given),
        applied=tuple(given.items()),
    )


def listed(server: Server, transaction: Transaction, list_id: str) -> list[tuple[str, str]]:
    """Return type and id of what a List holds; raises NotFoundError.

    Items that are flagged as deleted are none of it (https://hl7.org/fhir/R4/list.html).
    """
    stored = server.repository.read(transaction, "List", list_id)
    found: list[tuple[str, str]] = []
    for entry in loads(stored.body or b"{}").get("entry", ()):
        reference = (entry.get("item") or {}).get("reference")
        if entry.get("deleted") is True or not isinstance(reference, str):
            continue
        local = reference.removeprefix(f"{server.base_url}/").partition("/_history/")[0].split("/")
        if len(local) == _REFERENCE_PARTS and local[0] in TYPE_NUMBER:
            found.append((local[0], local[1]))
    return found


def _number(given: dict[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise MalformedSearchError(f"`{text}` is not a number", expression=name)
    return int(text)


def _place(given: dict[str, str]) -> FeedCursor | None:
    """Return the place that ``_before=number-milliseconds`` names in a history of several resources."""
    number, _, until = given.get("_before", "").partition("-")
    if not until:
        return None
    milliseconds = _number({"_before": until}, "_before") or 0
    try:
        instant = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError as error:
        raise MalformedSearchError(f"`{until}` is not an instant", expression="_before") from error
    return FeedCursor(_number({"_before": number}, "_before") or 0, instant)


def text_of(place: FeedCursor) -> str:
    """Return `place` as the value of `_before`."""
    return f"{place.before}-{(place.until - _EPOCH) // timedelta(milliseconds=1)}"


def _period(given: dict[str, str], name: str, what: str, server: Server) -> DateRange | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        # A `+` that was not percent-encoded arrives as a space.
        return date_range(text.replace(" ", "+"), server.zone)
    except ValueError as error:
        raise MalformedSearchError(f"`{text}` is not {what}", expression=name) from error
