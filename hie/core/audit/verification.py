"""The check of the whole chain: every hash, every number, every column, and every anchor.

It says where the chain is broken, and goes on behind it: each record is checked against the hash that
is stored before it, so that one change is one finding. Read in one pass, by a cursor of the server.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

import orjson

from hie.core.audit.anchors import Anchor, stored
from hie.core.audit.chain import GENESIS, columns_of, head, link
from hie.core.db.database import Transaction

_PIECE: Final = 2_000
# What is wrong with more places than these is wrong as a whole.
_MOST: Final = 100
_ROWS: Final = (
    "SELECT seq, chained_at, digest, hash, body, id, recorded, kind, interaction, action, status, agent,"
    " patient, entities FROM audit_event ORDER BY seq"
)

What = Literal["changed", "column", "missing", "repeated", "unreadable", "anchor", "end"]
"""A record whose hash is not its own; a search column that its body does not say; numbers that are not
there, or twice; a body that is no record; a hash that is not the anchor's; an end that is not the last
record."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong at record `seq`; `until` is the last of several."""

    what: What
    seq: int
    until: int
    text: str


@dataclass(slots=True)
class Verification:
    """The result: how many records were read, from `first` to `last`, and what is wrong."""

    count: int = 0
    first: int = 0
    last: int = 0
    last_hash: bytes = GENESIS
    anchors: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def add(self, what: What, seq: int, text: str, until: int | None = None) -> None:
        """Add a finding unless there are too many already."""
        if len(self.findings) < _MOST:
            self.findings.append(Finding(what, seq, seq if until is None else until, text))


def verify(
    transaction: Transaction,
    outside: Iterable[Anchor] = (),
    *,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Check the chain against itself, the anchors of the table and those kept `outside`.

    The caller's transaction must see one state of the database: REPEATABLE READ.
    """
    made = Verification()
    inside = stored(transaction)
    pruned = max((anchor for anchor in inside if anchor.kind == "prune"), key=_seq, default=None)
    before = _Place(pruned.seq, pruned.hash) if pruned else _Place(0, GENESIS)
    anchors = _Anchors(made, [*inside, *outside], since=before.seq)
    for row in _rows(transaction):
        before = _check(made, before, row)
        anchors.meet(before)
        made.count += 1
        if progress is not None and made.count % 100_000 == 0:
            progress(made.count)
    made.last, made.last_hash = before.seq, before.hash
    anchors.rest(before.seq)
    end = head(transaction)
    if end.seq > before.seq:
        made.add("missing", before.seq + 1, "the last records are not there", end.seq)
    elif (end.seq, end.hash) != (before.seq, before.hash):
        made.add("end", before.seq, "the chain does not end with the last record")
    return made


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in the chain as it is stored."""

    seq: int
    hash: bytes


def _seq(anchor: Anchor) -> int:
    return anchor.seq


def _rows(transaction: Transaction) -> Iterator[tuple[object, ...]]:
    with transaction.connection.cursor(name="audit_verify", binary=True) as cursor:
        cursor.itersize = _PIECE
        yield from cursor.execute(_ROWS)


def _check(made: Verification, before: _Place, row: tuple[object, ...]) -> _Place:
    seq, chained_at, digest, found, body, *columns = row
    if not (
        isinstance(seq, int)
        and isinstance(chained_at, datetime)
        and isinstance(found, bytes)
        and isinstance(body, bytes)
    ):  # pragma: no cover - the types of the columns
        raise TypeError(row)
    if made.count == 0:
        made.first = seq
    if seq > before.seq + 1:
        made.add("missing", before.seq + 1, "records are not there", seq - 1)
    elif seq <= before.seq:
        made.add("repeated", seq, "the number is there before")
    elif not _is_linked(str(digest), before.hash, seq, chained_at, body, found):
        made.add("changed", seq, f"the hash is not that of the record, chained {chained_at.astimezone(UTC)}")
    try:
        said = columns_of(orjson.loads(body))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        made.add("unreadable", seq, "the body is no record")
    else:
        for name, value, column in zip(said._fields, said, columns, strict=True):
            if value != column:
                made.add("column", seq, f"`{name}` is not what the record says")
    return _Place(seq, found)


def _is_linked(
    digest: str, previous: bytes, seq: int, chained_at: datetime, body: bytes, found: bytes
) -> bool:
    try:
        return link(digest, previous, seq, chained_at, body) == found
    except ValueError:  # a digest that nobody knows
        return False


class _Anchors:
    """Compares anchors with the chain as it goes by."""

    def __init__(self, made: Verification, anchors: Iterable[Anchor], *, since: int) -> None:
        self._made = made
        self._waiting: dict[int, set[bytes]] = {}
        for anchor in anchors:
            # What retention removed cannot be compared, but for its last record.
            if anchor.seq > since:
                self._waiting.setdefault(anchor.seq, set()).add(anchor.hash)
        self._last_good = since

    def meet(self, place: _Place) -> None:
        hashes = self._waiting.pop(place.seq, None)
        if hashes is None:
            return
        self._made.anchors += 1
        if hashes == {place.hash}:
            self._last_good = place.seq
        else:
            self._made.add(
                "anchor", self._last_good + 1, "the chain was written anew: not the anchor's hash", place.seq
            )

    def rest(self, last: int) -> None:
        beyond = [seq for seq in self._waiting if seq > last]
        if beyond:
            self._made.add("anchor", last + 1, "an anchor is beyond the last record", max(beyond))
        for seq in sorted(set(self._waiting) - set(beyond)):
            self._made.add("anchor", seq, "an anchor's record is not there")
