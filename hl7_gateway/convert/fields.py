"""Rules that take a field, compiled: cut, make the values, put them, tell the account.

Four ways of one rule, since what a message costs is the number of steps for each field: the result is
known from earlier messages by the text of the field (codes, doctors, wards), or from another rule or
segment of this message, or it is made of one text (times), or of what the field is cut into.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import Account, Reads, is_read_whole, location, size
from hl7_gateway.convert.conditions import Where, where_condition
from hl7_gateway.convert.makers import Maker, Realize, copied, maker
from hl7_gateway.convert.maps import Rule, SegmentMap
from hl7_gateway.convert.memory import RECURRING_RESOURCES, keep
from hl7_gateway.convert.places import is_list, store_at
from hl7_gateway.convert.report import Unmapped
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import OfText
from hl7_gateway.er7.message import Repetition, Segment

Apply = Callable[[Segment, JsonObject, Run, Account], None]
"""A rule ready to run; one of a field runs only where that field is filled."""

NOT_REPEATING = "the element does not repeat"

# Segments of which a message has tens, whose fields (time, place, analyser) say the same again and again.
_IN_TENS = frozenset({"OBX"})

_numbers: dict[str, int] = {}
_sharings: dict[tuple[str, int, int], "_Sharing"] = {}


class _Sharing:
    """Whether several rules make the same of the same field: what one alone makes need not be held."""

    __slots__ = ("_rules", "is_worth_it")

    def __init__(self) -> None:
        self._rules: set[str] = set()
        self.is_worth_it = False

    def add(self, rule: Rule, source: SegmentMap) -> None:
        # By what it says: a second engine compiles the same rule again.
        self._rules.add(f"{source.name} {rule}")
        self.is_worth_it = len(self._rules) > 1


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
_Put = Callable[[JsonObject, Sequence[Any], Segment, Run], None]


def from_field(rule: Rule, source: SegmentMap) -> Apply:
    """Compile `rule` of `source`; raises ConfigurationError for a name that stands for nothing."""
    made = maker(rule)
    number = _numbers.setdefault(repr(replace(rule, to="", field=0, when=())), len(_numbers))
    if made.recurs or source.resource in RECURRING_RESOURCES:
        return _recalling(rule, made, number)
    share = _sharing(rule, made, number)
    if made.of_text is not None and not rule.where:
        return _reading(rule, made.of_text, share)
    if source.segment in _IN_TENS:
        return share
    sharing = _sharings.setdefault((source.segment, rule.field, number), _Sharing())
    sharing.add(rule, source)
    return _making(rule, made, share, sharing)


def _recalling(rule: Rule, made: Maker, number: int) -> Apply:
    """The text of the field is what is known again: it need not even be cut."""
    field, prepare, put, settle = rule.field, _preparing(rule, made), _putting(rule, made), _settling(made)
    name = number if is_list(rule.to) else -number - 1

    def recall(segment: Segment, target: JsonObject, run: Run, account: Account) -> None:
        memory, place = run.memory, (name, segment.fields[field])
        prepared: _Prepared | None = memory.get(place)
        if prepared is None:
            prepared = prepare(segment, run.context)
            keep(memory, place, prepared)
        values, left = prepared
        put(target, values, segment, run)
        if left is None:
            account.whole.add(field)
        else:
            settle(field, left, segment, run, account)

    return recall


def _sharing(rule: Rule, made: Maker, number: int) -> Apply:
    field, prepare, put, settle = rule.field, _preparing(rule, made), _putting(rule, made), _settling(made)
    many = is_list(rule.to)

    def share(segment: Segment, target: JsonObject, run: Run, account: Account) -> None:
        text = segment.fields[field]
        # Whether the element repeats makes a difference to several repetitions only.
        place = (number if many or segment.delimiters.repetition not in text else -number - 1, text)
        prepared: _Prepared | None = run.scratch.get(place)
        if prepared is None:
            prepared = run.scratch[place] = prepare(segment, run.context)
        values, left = prepared
        put(target, values, segment, run)
        if left is None:
            account.whole.add(field)
        else:
            settle(field, left, segment, run, account)

    return share


def _reading(rule: Rule, of_text: OfText, otherwise: Apply) -> Apply:
    """A field that is one text needs no cutting, and is read whole if it says anything."""
    field, store, wrong = rule.field, store_at(rule.to), _wrong(rule)

    def read(segment: Segment, target: JsonObject, run: Run, account: Account) -> None:
        text = segment.fields[field]
        if not text.isalnum() and segment.delimiters.are_in(text):
            otherwise(segment, target, run, account)
            return
        try:
            value = of_text(text, run.context)
        except DataTypeError:
            account.fail(field, 0, wrong)
            return
        if value is not None:
            store(target, value)
            account.whole.add(field)

    return read


def _making(rule: Rule, made: Maker, share: Apply, sharing: _Sharing) -> Apply:
    """What is made for this field alone is not copied; a single repetition needs no lists of what is left."""
    field, prepare, reads, is_chosen = rule.field, made.prepare, made.reads, bool(rule.where)
    own = made._replace(realize=None) if made.realize is copied else made
    prepare_each, put, settle, wrong = (
        _preparing_each(rule, made),
        _putting(rule, own),
        _settling(made),
        _wrong(rule),
    )
    span = _span(reads)

    def make(segment: Segment, target: JsonObject, run: Run, account: Account) -> None:
        if sharing.is_worth_it:
            share(segment, target, run, account)
            return
        text, context = segment.fields[field], run.context
        # Letters and digits alone hold no delimiter: half of all fields need no cutting.
        repetitions = (((text,),),) if text.isalnum() else segment.repetitions(field)
        if is_chosen or len(repetitions) > 1:
            values, left = prepare_each(repetitions, context)
            put(target, values, segment, run)
            if left is None:
                account.whole.add(field)
            else:
                settle(field, left, segment, run, account)
            return
        repetition = repetitions[0]
        try:
            value = prepare(repetition, context)
        except DataTypeError:
            context.dropped.clear()
            account.fail(field, 0, wrong)
            return
        if value is not None:
            put(target, (value,), segment, run)
        if value is None or context.dropped:
            used = [] if value is None else [0]
            settle(field, _Left(used, [], _dropped(repetition, 0, context)), segment, run, account)
        elif (len(repetition) <= span and segment.delimiters.subcomponent not in text) or is_read_whole(
            repetition, reads
        ):
            account.whole.add(field)
        else:
            account.cover_repetition(field, 0, reads)

    return make


def _span(reads: Reads) -> int:
    """Return how many components are read from the first on, if each is of one sub-component."""
    return next((place for place, read in enumerate(reads) if not read), len(reads))


def _putting(rule: Rule, made: Maker) -> _Put:
    """Return what writes the values of one field into a resource."""
    realize = made.realize
    is_key = "." not in rule.to and not is_list(rule.to) and rule.to != "$this"
    if realize is None:
        return _putting_as_is(rule.to, is_key=is_key)
    if realize is copied and is_key:
        name = rule.to

        def put_copy_at(target: JsonObject, values: Sequence[Any], _segment: Segment, _run: Run) -> None:
            for value in values:
                target[name] = value.copy() if type(value) is dict else value

        return put_copy_at
    if realize is copied and is_list(rule.to) and "." not in rule.to:
        return _putting_copies(rule.to.removesuffix("[]"))
    return _putting_realized(rule.to, realize)


def _putting_copies(name: str) -> _Put:
    def put_copies(target: JsonObject, values: Sequence[Any], _segment: Segment, _run: Run) -> None:
        for value in values:
            if type(value) is list:
                target.setdefault(name, []).extend(value)
            elif name in target:
                target[name].append(value.copy() if type(value) is dict else value)
            else:
                target[name] = [value.copy() if type(value) is dict else value]

    return put_copies


def _putting_as_is(path: str, *, is_key: bool) -> _Put:
    store = store_at(path)
    if is_key:

        def put_at(target: JsonObject, values: Sequence[Any], _segment: Segment, _run: Run) -> None:
            for value in values:
                target[path] = value

        return put_at

    def put(target: JsonObject, values: Sequence[Any], _segment: Segment, _run: Run) -> None:
        for value in values:
            store(target, value)

    return put


def _putting_realized(path: str, realize: Realize) -> _Put:
    store = store_at(path)

    def put(target: JsonObject, values: Sequence[Any], segment: Segment, run: Run) -> None:
        for value in values:
            store(target, realize(value, segment, run))

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
    """Return what makes the values of a field that others will ask for: only these are held."""
    field, prepare, reads, wrong = rule.field, made.prepare, made.reads, _wrong(rule)
    prepare_each = _preparing_each(rule, made)
    is_chosen = bool(rule.where)

    def prepare_field(segment: Segment, context: Context) -> _Prepared:
        repetitions = segment.repetitions(field)
        if is_chosen or len(repetitions) > 1:
            return prepare_each(repetitions, context)
        (repetition,) = repetitions
        try:
            value = prepare(repetition, context)
        except DataTypeError:
            context.dropped.clear()
            return (), _Left([], [(0, wrong)], [])
        dropped = _dropped(repetition, 0, context) if context.dropped else []
        if value is None:
            return (), _Left([], [], dropped)
        if not dropped and is_read_whole(repetition, reads):
            return (value,), None
        return (value,), _Left([0], [], dropped)

    return prepare_field


def _preparing_each(rule: Rule, made: Maker) -> Callable[[tuple[Repetition, ...], Context], _Prepared]:
    many, prepare, reads, wrong = is_list(rule.to), made.prepare, made.reads, _wrong(rule)
    wheres: list[Where] = [where_condition(name) for name in rule.where]

    def prepare_each(repetitions: tuple[Repetition, ...], context: Context) -> _Prepared:
        values: list[Any] = []
        left = _Left([], [], [])
        is_whole = True
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

    return prepare_each


def _wrong(rule: Rule) -> str:
    return f"{rule.function or 'a part of the element'} takes no such value"


def _dropped(repetition: Repetition, number: int, context: Context) -> list[tuple[int, int, int, str]]:
    """Take what the data-type function dropped: repetition, component, length, reason."""
    taken = []
    for component, reason in context.dropped:
        held = repetition[component - 1 : component] if component else repetition
        taken.append((number, component, size(held), reason))
    context.dropped.clear()
    return taken
