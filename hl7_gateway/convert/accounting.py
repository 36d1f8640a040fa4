"""Which leaves of a segment its rules have read, and which are left.

Reading is declared, not observed: each data-type function names the components (and how many of their
sub-components) that it puts into its result. A segment's account is the union over the rules that fired,
compared once with what the segment holds.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, compress, count, repeat
from operator import gt

from hl7_gateway.convert.report import Report, Unmapped
from hl7_gateway.er7.message import NULL, Repetition, Segment

Reads = tuple[int, ...]
"""Sub-components read of each component, first to last: (1, 1, 0, 3) reads 1, 2 and 4.1 to 4.3."""

ALL = 1_000_000
"""All sub-components, however many."""

WHOLE: Reads = (ALL,) * 64
"""Every component with all its sub-components; no data type has more than 27."""

NOTHING: Reads = ()
_EMPTY = ("",)
NO_RULE = "no mapping"

_unions: dict[tuple[Reads, Reads], Reads] = {}


def union(one: Reads, other: Reads) -> Reads:
    """Return what is read when both are."""
    known = _unions.get((one, other))
    if known is None:
        size = max(len(one), len(other))
        padded = [(*reads, *(0,) * (size - len(reads))) for reads in (one, other)]
        known = tuple(max(pair) for pair in zip(*padded, strict=True))
        _unions[one, other] = known
    return known


def is_read_whole(repetition: Repetition, reads: Reads) -> bool:
    """Whether `reads` holds every filled leaf of `repetition`."""
    # Most repetitions fit as they are, empty places included: that is seen without a loop in Python.
    for place in _exceeding(repetition, reads):
        for text in repetition[place][reads[place] if place < len(reads) else 0 :]:
            if text and text != NULL:
                return False
    return True


def _exceeding(repetition: Repetition, reads: Reads) -> Iterator[int]:
    """Return the 0-based components that hold more sub-components than `reads` says, empty ones included."""
    return compress(count(), map(gt, map(len, repetition), chain(reads, repeat(0))))


class Account:
    """The account of one segment while its rules run."""

    # Most accounts keep these: no field is read in part, no repetition by itself, none fails.
    _parts: dict[int, Reads] | None = None
    _repetitions: dict[tuple[int, int], Reads] | None = None
    _reasons: dict[tuple[int, int], str] | None = None
    nulls: tuple[tuple[int, int], ...] = ()
    """Fields that are the explicit null, each with its line of the report."""

    def __init__(self, segment: Segment) -> None:
        """Open the account: nothing is read yet."""
        self.segment = segment
        # Most fields are read whole and need no second look; the first of the texts is the segment's name.
        self.whole: set[int] = {0}

    def cover(self, field: int, reads: Reads = WHOLE) -> None:
        """Note that `reads` of every repetition of `field` is in the result."""
        if reads is WHOLE:
            self.whole.add(field)
            return
        parts = self._parts
        if parts is None:
            parts = self._parts = {}
        before = parts.get(field)
        parts[field] = reads if before is None or before == reads else union(before, reads)

    def cover_repetition(self, field: int, number: int, reads: Reads = WHOLE) -> None:
        """Note that `reads` of the 0-based repetition `number` is in the result."""
        fields = self.segment.fields
        if not number and reads and reads[0] and field < len(fields) and fields[field].isalnum():
            self.whole.add(field)  # a single leaf, and it is read
            return
        known = self._repetitions
        if known is None:
            known = self._repetitions = {}
        before = known.get((field, number))
        known[field, number] = reads if before is None else union(before, reads)

    def fail(self, field: int, number: int, reason: str) -> None:
        """Note why a repetition could not be used; it counts only if no other rule uses it."""
        if self._reasons is None:
            self._reasons = {}
        self._reasons[field, number] = reason

    def close(self, report: Report, reason: str = NO_RULE) -> None:
        """Add to `report` every non-empty leaf that was not read."""
        whole, fields_of = self.whole, self.segment.fields
        parts, by_repetition = self._parts, self._repetitions
        for field in sorted({*compress(count(), fields_of)} - whole):
            reads = parts.get(field, NOTHING) if parts is not None else NOTHING
            text = fields_of[field]
            if text.isalnum():
                # A single leaf, which is left most often.
                part = None if by_repetition is None else by_repetition.get((field, 0))
                if not (reads and reads[0]) and not (part and part[0]):
                    self._leave(field, 0, len(text), report, reason)
                continue
            repetitions = self.segment.repetitions(field)
            for number, repetition in enumerate(repetitions):
                read = reads
                if by_repetition is not None:
                    part = by_repetition.get((field, number))
                    if part is not None:
                        read = union(reads, part) if reads else part
                if read and is_read_whole(repetition, read):
                    continue
                self._settle(field, number, repetition, read, report, reason)

    def _settle(
        self, field: int, number: int, repetition: Repetition, read: Reads, report: Report, reason: str
    ) -> None:
        if not read:
            self._leave(field, number, size(repetition), report, reason)
            return
        for place in _exceeding(repetition, read):
            component = repetition[place]
            if component == _EMPTY:
                continue
            allowed = read[place] if place < len(read) else 0
            for part, text in enumerate(component[allowed:], allowed + 1):
                if text and text != NULL:
                    sub = part if allowed or part > 1 else 0
                    where = location(self.segment, field, number, place + 1, sub)
                    report.unmapped.append(Unmapped(where, len(text), reason, self.segment.index))

    def _leave(self, field: int, number: int, length: int, report: Report, reason: str) -> None:
        if not length:
            return
        if length == len(NULL) and self.segment.is_null(field):
            self.nulls = (*self.nulls, (field, len(report.unmapped)))
        if self._reasons is not None:
            reason = self._reasons.get((field, number), reason)
        where = location(self.segment, field, number)
        report.unmapped.append(Unmapped(where, length, reason, self.segment.index))


def size(repetition: Repetition) -> int:
    """Return the number of characters in a repetition without its delimiters."""
    return sum([len(text) for component in repetition for text in component])


def location(segment: Segment, field: int, number: int = 0, component: int = 0, subcomponent: int = 0) -> str:
    """Return "PID-3", "PID-3[2]" or "PID-3[2].4.1"; `number` is 0-based, the first is not written."""
    return _location(segment.name, field, number, component, subcomponent)


@lru_cache(maxsize=4096)
def _location(name: str, field: int, number: int, component: int, subcomponent: int) -> str:
    text = f"{name}-{field}[{number + 1}]" if number else f"{name}-{field}"
    if component:
        text = f"{text}.{component}"
    return f"{text}.{subcomponent}" if subcomponent else text
