"""Rules that take a field, compiled: cut, make the values, put them, tell the account.

What stands here holds for every field: several repetitions, parts that are left over, values that are not of
their type. Most fields are of one repetition that is read whole: for these `straight` writes the same as
straight lines, and comes here with the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import Account, Reads, is_read_whole, location, size
from hl7_gateway.convert.conditions import Where, where_condition
from hl7_gateway.convert.makers import Maker, maker
from hl7_gateway.convert.maps import Rule, SegmentMap
from hl7_gateway.convert.memory import RECURRING_RESOURCES, Memory, keep
from hl7_gateway.convert.places import is_list, store_at
from hl7_gateway.convert.plain import is_plain, writes_plain
from hl7_gateway.convert.report import Unmapped
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import OfText
from hl7_gateway.er7.message import Repetition, Segment

Apply = Callable[[Segment, JsonObject, Run, Account], None]
"""A rule ready to run; one of a field runs only where that field is filled."""

MakePlain = Callable[[Segment, str, Context, Account | None], Any]
"""Makes the plain value of a segment's field, whose text is given; None if that takes more (`apply`).

With an account it also takes a field that is read in part, and tells the account; without one it is for the
caller to say that the field is read whole.
"""

Way = Literal["recall", "share", "make"]
"""How a rule comes by the values of a field.

recall: it is known from earlier messages by the text of the field (codes, doctors, wards); share: another
rule or segment of this message has made it of the same text, or will ask for it; make: anew.
"""

NOT_REPEATING = "the element does not repeat"

# Segments of which a message has tens, whose fields (time, place, analyser) say the same again and again.
_IN_TENS = frozenset({"OBX"})

_NO_TEXT = ("",)
_numbers: dict[str, int] = {}
_sharings: dict[tuple[str, int, int], set[str]] = {}


class _Left(NamedTuple):
    """What a rule could not take whole of a field; places are relative to the field.

    `is_rest_whole`: all but what is in `dropped` was read.
    """

    used: list[int]
    failed: list[tuple[int, str]]
    dropped: list[tuple[int, int, int, str]]
    is_rest_whole: bool = False


_Prepared = tuple[Sequence[Any], _Left | None]
"""The values a rule makes of a field before they go into a Bundle; no _Left when every leaf was read."""

_Prepare = Callable[[Segment, Context], _Prepared]


@dataclass(frozen=True, slots=True)
class FieldRule:
    """A rule of a field: how it makes values, and under which number the same making is remembered.

    `apply` takes any field. Plain values are remembered by number and text alone.
    """

    rule: Rule
    number: int
    apply: Apply
    make_plain: MakePlain | None
    _own_way: Way
    _sharers: set[str]

    @property
    def way(self) -> Way:
        """How values are come by; it is settled when all maps are compiled."""
        # What one rule alone makes need not be held.
        return "share" if self._own_way == "make" and len(self._sharers) > 1 else self._own_way


def from_field(rule: Rule, source: SegmentMap) -> FieldRule:
    """Compile `rule` of `source`; raises ConfigurationError for a name that stands for nothing."""
    made = maker(rule)
    number = 3 * _numbers.setdefault(repr(replace(rule, to="", field=0, when=())), len(_numbers))
    sharers = _sharings.setdefault((source.segment, rule.field, number), set())
    if made.recurs or source.resource in RECURRING_RESOURCES:
        apply = _remembering(rule, made, number, in_message=False)
        return FieldRule(rule, number, apply, None, "recall", sharers)
    # By what it says: a second engine compiles the same rule again.
    sharers.add(f"{source.name} {rule}")
    way: Way = "share" if source.segment in _IN_TENS else "make"
    make_plain = _making_plain(rule, made) if writes_plain(rule) and not rule.where else None
    apply = _remembering(rule, made, number, in_message=True)
    return FieldRule(rule, number, apply, make_plain, way, sharers)


def _remembering(rule: Rule, made: Maker, number: int, *, in_message: bool) -> Apply:
    """Return what takes any field; what it makes of a text is held for the message, or beyond it."""
    field, prepare, put, settle = rule.field, _preparing(rule, made), _putting(rule, made), _settling(made)
    fits = is_plain(rule) if writes_plain(rule) else None
    # Whether the element repeats makes a difference to several repetitions.
    name = number + 1 if is_list(rule.to) else number + 2

    def apply(segment: Segment, target: JsonObject, run: Run, account: Account) -> None:
        memory: Memory = run.scratch if in_message else run.memory
        text = segment.fields[field]
        prepared: _Prepared | None = memory.get((name, text))
        if prepared is None:
            prepared = prepare(segment, run.context)
            values, left = prepared
            if fits is not None and left is None and len(values) == 1 and fits(values[0]):
                keep(memory, (number, text), values[0])
            else:
                keep(memory, (name, text), prepared)
        values, left = prepared
        put(target, values, segment, run)
        if left is None:
            account.whole.add(field)
        else:
            settle(field, left, segment, run, account)

    return apply


def _making_plain(rule: Rule, made: Maker) -> MakePlain:
    """Return what makes the plain value of a field of one repetition."""
    field, prepare, reads, is_whole = rule.field, made.prepare, made.reads, _reading_whole(made.reads)
    fits = is_plain(rule) if rule.element else None
    span = next((place for place, read in enumerate(reads) if not read), len(reads))

    def make_of_cut(segment: Segment, text: str, context: Context, account: Account | None) -> Any:
        repetitions = segment.cut(field, text)
        if len(repetitions) > 1:
            return None
        repetition = repetitions[0]
        try:
            value = prepare(repetition, context)
        except DataTypeError:
            value = None
        if context.dropped:
            context.dropped.clear()
            return None
        if value is None or type(value) is list or (fits is not None and not fits(value)):
            return None
        is_short = len(repetition) <= span and segment.delimiters.subcomponent not in text
        if is_short or is_whole(repetition, text, segment):
            if account is not None:
                account.whole.add(field)
            return value
        if account is None:
            return None
        account.cover_repetition(field, 0, reads)
        return value

    return make_of_cut if made.of_text is None else _reading_text(field, made.of_text, make_of_cut)


def _reading_text(field: int, of_text: OfText, make_of_cut: MakePlain) -> MakePlain:
    """A field that is one text needs no cutting, and is read whole if it says anything."""

    def make_of_text(segment: Segment, text: str, context: Context, account: Account | None) -> Any:
        if not text.isalnum() and segment.delimiters.are_in(text):
            return make_of_cut(segment, text, context, account)
        try:
            value = of_text(text, context)
        except DataTypeError:
            return None
        if value is not None and account is not None:
            account.whole.add(field)
        return value

    return make_of_text


def _reading_whole(reads: Reads) -> Callable[[Repetition, str, Segment], bool]:
    """Return what says whether `reads` is all that stands in a repetition, which is the whole field."""
    gaps = [place for place, read in enumerate(reads) if not read]
    known = len(reads)

    def is_whole(repetition: Repetition, text: str, segment: Segment) -> bool:
        size = len(repetition)
        if size > known or segment.delimiters.subcomponent in text:
            return is_read_whole(repetition, reads)
        # One text a component: what stands in the gaps is all that can be left.
        filled = [gap for gap in gaps if gap < size and repetition[gap] != _NO_TEXT]
        return not filled or is_read_whole(repetition, reads)

    return is_whole


def _putting(rule: Rule, made: Maker) -> Callable[[JsonObject, Sequence[Any], Segment, Run], None]:
    """Return what writes the values of one field into a resource."""
    store, realize = store_at(rule.to), made.realize

    def put(target: JsonObject, values: Sequence[Any], segment: Segment, run: Run) -> None:
        for value in values:
            store(target, value if realize is None else realize(value, segment, run))

    return put


def _settling(made: Maker) -> Callable[[int, _Left, Segment, Run, Account], None]:
    reads = made.reads

    def settle(field: int, left: _Left, segment: Segment, run: Run, account: Account) -> None:
        if left.is_rest_whole:
            account.whole.add(field)
        for repetition in left.used:
            account.cover_repetition(field, repetition, reads)
        for repetition, reason in left.failed:
            account.fail(field, repetition, reason)
        for repetition, component, length, reason in left.dropped:
            where = location(segment, field, repetition, component)
            run.report.unmapped.append(Unmapped(where, length, reason, segment.index))

    return settle


def _preparing(rule: Rule, made: Maker) -> _Prepare:
    """Return what makes the values of a field, and says what of it is left over."""
    field, many, prepare, reads = rule.field, is_list(rule.to), made.prepare, made.reads
    wheres: list[Where] = [where_condition(name) for name in rule.where]
    wrong = f"{rule.function or 'a part of the element'} takes no such value"

    def prepare_field(segment: Segment, context: Context) -> _Prepared:
        values: list[Any] = []
        left = _Left([], [], [])
        is_whole = True
        repetitions = segment.repetitions(field)
        for number, repetition in enumerate(repetitions):
            if values and not many:
                left.failed.append((number, NOT_REPEATING))
                break
            if wheres and not all(holds(repetition) for holds in wheres):
                continue
            try:
                value = prepare(repetition, context)
            except DataTypeError:
                context.dropped.clear()
                left.failed.append((number, wrong))
                continue
            if context.dropped:
                left.dropped.extend(_dropped(repetition, number, context))
            if value is not None:
                values.append(value)
                left.used.append(number)
                is_whole = is_whole and is_read_whole(repetition, reads)
        if is_whole and len(values) == len(repetitions):
            return values, _Left([], [], left.dropped, is_rest_whole=True) if left.dropped else None
        return values, left

    return prepare_field


def _dropped(repetition: Repetition, number: int, context: Context) -> list[tuple[int, int, int, str]]:
    """Take what the data-type function dropped: repetition, component, length, reason."""
    taken = []
    for component, reason in context.dropped:
        held = repetition[component - 1 : component] if component else repetition
        taken.append((number, component, size(held), reason))
    context.dropped.clear()
    return taken
