"""Rules compiled into closures, once at start: a segment map becomes a table of what each field is for.

https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from hie.core.errors import ConfigurationError, DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import WHOLE, Account, Reads, is_read_whole, location, size
from hl7_gateway.convert.conditions import Condition, Where, condition, where_condition
from hl7_gateway.convert.functions import segment_function
from hl7_gateway.convert.makers import Maker, fresh, maker
from hl7_gateway.convert.maps import Rule, SegmentMap
from hl7_gateway.convert.memory import keep
from hl7_gateway.convert.nulls import Nulls
from hl7_gateway.convert.places import is_list, store_at
from hl7_gateway.convert.report import Kept, Unmapped
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes.context import Context
from hl7_gateway.er7.message import Repetition, Segment

Apply = Callable[[Segment, JsonObject, Run, Account], None]

NOT_REPEATING = "the element does not repeat"
# Patterns of filled fields that a map remembers before it forgets all.
_PLANS = 512
_numbers: dict[str, int] = {}
# How many rules have each number: what one alone makes need not be held for another.
_sharing: dict[int, int] = {}


class _Plan(NamedTuple):
    """What a map does with a segment of given filled fields: senders fill the same ones again and again."""

    rules: tuple[Apply, ...]
    kept: tuple[Kept, ...]
    covered: dict[int, Reads]


class CompiledMap:
    """A segment map ready to run."""

    __slots__ = (
        "_always",
        "_by_field",
        "_kept",
        "_plans",
        "_store",
        "name",
        "nulls",
        "resource",
        "segment",
    )

    def __init__(self, source: SegmentMap) -> None:
        """Compile `source`; raises ConfigurationError naming the map and what there is not."""
        self.name = source.name
        self.segment = source.segment
        self.resource = source.resource
        self._store = store_at(source.element) if source.element else None
        self._always: list[Apply] = []
        self._by_field: dict[int, list[Apply]] = {}
        self._kept: dict[int, str] = {}
        self._plans: dict[tuple[tuple[int, ...], int], _Plan] = {}
        self.nulls = Nulls(source)
        for number, rule in enumerate(source.rules, 1):
            if rule.keep and not rule.when:
                self._kept[rule.field] = rule.keep
                continue
            try:
                apply = _compile(rule)
            except ConfigurationError as error:
                raise ConfigurationError(
                    f"Segment map {source.name}, rule {number}: {error.message}"
                ) from error
            (self._by_field.setdefault(rule.field, []) if rule.field else self._always).append(apply)

    def apply(
        self, segment: Segment, fields: tuple[int, ...], target: JsonObject, run: Run, account: Account
    ) -> None:
        """Write what the rules make of `segment`, whose filled fields are `fields`, into `target`."""
        place = (fields, segment.index)
        plan = self._plans.get(place)
        if plan is None:
            plan = self._plan(place)
        store = self._store
        element: JsonObject = target if store is None else {}
        for apply in plan.rules:
            apply(segment, element, run, account)
        if plan.kept:
            account.cover_all(plan.covered)
            run.report.kept.extend(plan.kept)
        if store is not None and element:
            store(target, element)

    def _plan(self, place: tuple[tuple[int, ...], int]) -> _Plan:
        fields, index = place
        rules = [rule for field in fields for rule in self._by_field.get(field, ())]
        kept = {field: self._kept[field] for field in fields if field in self._kept}
        plan = _Plan(
            (*self._always, *rules),
            tuple(Kept(f"{self.segment}-{field}", where, index) for field, where in kept.items()),
            dict.fromkeys(kept, WHOLE),
        )
        if len(self._plans) >= _PLANS:
            self._plans.clear()
        self._plans[place] = plan
        return plan


def all_of(conditions: Sequence[Condition]) -> Condition | None:
    """Return one condition that holds when all do, None when there is none to hold."""
    if not conditions:
        return None
    if len(conditions) == 1:
        return conditions[0]
    return lambda segment, run: all(holds(segment, run) for holds in conditions)


def _compile(rule: Rule) -> Apply:
    when = all_of([condition(name) for name in rule.when])
    if rule.use:
        apply = segment_function(rule.use)
    elif rule.keep:
        apply = _keeping(rule)
    elif rule.link:
        apply = _link(rule)
    elif rule.field:
        apply = _from_field(rule)
    else:
        apply = _constant(rule)
    if when is None:
        return apply
    holds = when

    def apply_when(segment: Segment, target: JsonObject, run: Run, account: Account) -> None:
        if holds(segment, run):
            apply(segment, target, run, account)

    return apply_when


def _keeping(rule: Rule) -> Apply:
    field, where = rule.field, rule.keep

    def note(segment: Segment, _target: JsonObject, run: Run, account: Account) -> None:
        account.cover(field)
        run.report.kept.append(Kept(f"{segment.name}-{field}", where, segment.index))

    return note


def _link(rule: Rule) -> Apply:
    name, store = rule.link, store_at(rule.to)

    def put(_segment: Segment, target: JsonObject, run: Run, _account: Account) -> None:
        other = run.frame.find(name)
        if other is not None:
            store(target, other.reference)

    return put


def _constant(rule: Rule) -> Apply:
    if rule.constant is None:
        raise ConfigurationError(f"`{rule.to}` has neither a field nor a constant")
    store, anew = store_at(rule.to), fresh(rule.constant)

    def put(_segment: Segment, target: JsonObject, _run: Run, _account: Account) -> None:
        store(target, anew())

    return put


class _Left(NamedTuple):
    """What a rule could not take whole of a field; places are relative to the field."""

    used: list[int]
    failed: list[tuple[int, str]]
    dropped: list[tuple[int, int, int, str]]


_Prepared = tuple[list[Any], _Left | None]
"""The values a rule makes of a field before they go into a Bundle; no _Left when every leaf was read."""


def _from_field(rule: Rule) -> Apply:
    made = maker(rule)
    field, store, realize, reads = rule.field, store_at(rule.to), made.realize, made.reads
    prepare = _preparing(rule, made)
    number = _number(rule)
    recurs, many = made.recurs, is_list(rule.to)

    def apply(segment: Segment, target: JsonObject, run: Run, account: Account) -> None:
        # The text of the field is what is known again, from an earlier message or from another rule of this
        # one: then it need not even be cut.
        if recurs or _sharing[number] > 1:
            memory = run.memory if recurs else run.scratch
            text = segment.raw(field)
            # Whether the element repeats makes a difference to several repetitions only.
            place = (number if many or segment.delimiters.repetition not in text else ~number, text)
            prepared: _Prepared | None = memory.get(place)
            if prepared is None:
                prepared = prepare(segment, run.context)
                keep(memory, place, prepared)
        else:
            prepared = prepare(segment, run.context)
        values, left = prepared
        for value in values:
            store(target, realize(value, segment, run))
        if left is None:
            account.cover(field, WHOLE)
            return
        for repetition in left.used:
            account.cover_repetition(field, repetition, reads)
        for repetition, reason in left.failed:
            account.fail(field, repetition, reason)
        for repetition, component, length, reason in left.dropped:
            where = location(segment, field, repetition, component)
            run.report.unmapped.append(Unmapped(where, length, reason, segment.index))

    return apply


def _number(rule: Rule) -> int:
    """Return a number that rules share if they make the same of the same repetition."""
    number = _numbers.setdefault(repr(replace(rule, to="", field=0, when=())), len(_numbers))
    _sharing[number] = _sharing.get(number, 0) + 1
    return number


def _preparing(rule: Rule, made: Maker) -> Callable[[Segment, Context], _Prepared]:
    field, prepare, reads = rule.field, made.prepare, made.reads
    prepare_each = _preparing_each(rule, made)
    is_chosen = bool(rule.where)

    def prepare_field(segment: Segment, context: Context) -> _Prepared:
        text = segment.raw(field)
        # Letters and digits alone hold no delimiter: half of all fields need no cutting.
        repetitions = (((text,),),) if text.isalnum() else segment.repetitions(field)
        if is_chosen or len(repetitions) > 1:
            return prepare_each(repetitions, context)
        (repetition,) = repetitions
        try:
            value = prepare(repetition, context)
        except DataTypeError:
            context.dropped.clear()
            return [], _Left([], [(0, _wrong(rule))], [])
        dropped = _dropped(repetition, 0, context) if context.dropped else []
        if value is None:
            return [], _Left([], [], dropped)
        if not dropped and is_read_whole(repetition, reads):
            return [value], None
        return [value], _Left([0], [], dropped)

    return prepare_field


def _preparing_each(rule: Rule, made: Maker) -> Callable[[tuple[Repetition, ...], Context], _Prepared]:
    many, prepare, reads = is_list(rule.to), made.prepare, made.reads
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
                left.failed.append((number, _wrong(rule)))
                continue
            if context.dropped:
                left.dropped.extend(_dropped(repetition, number, context))
            if value is not None:
                values.append(value)
                left.used.append(number)
                is_whole = is_whole and is_read_whole(repetition, reads)
        if is_whole and len(values) == len(repetitions) and not left.dropped:
            return values, None
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
