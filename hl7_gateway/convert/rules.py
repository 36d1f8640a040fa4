"""Rules compiled into closures, once at start: a segment map becomes a table of what each field is for.

https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from collections.abc import Sequence
from typing import NamedTuple

from hie.core.errors import ConfigurationError
from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import Account
from hl7_gateway.convert.conditions import Condition, condition, needed_field
from hl7_gateway.convert.fields import Apply, from_field
from hl7_gateway.convert.functions import segment_function
from hl7_gateway.convert.makers import fresh
from hl7_gateway.convert.maps import Rule, SegmentMap
from hl7_gateway.convert.nulls import Nulls
from hl7_gateway.convert.places import store_at
from hl7_gateway.convert.report import Kept
from hl7_gateway.convert.run import Run
from hl7_gateway.er7.message import Segment


class Plan(NamedTuple):
    """What a map does with a segment of given filled fields: senders fill the same ones again and again."""

    rules: tuple[Apply, ...]
    kept: tuple[Kept, ...]
    covered: tuple[int, ...]


class _Compiled(NamedTuple):
    """A rule ready to run, and the fields that must be filled for it to have anything to do."""

    apply: Apply
    needs: frozenset[int]


class CompiledMap:
    """A segment map ready to run."""

    __slots__ = ("_always", "_by_field", "_kept", "_store", "name", "nulls", "resource", "segment")

    def __init__(self, source: SegmentMap) -> None:
        """Compile `source`; raises ConfigurationError naming the map and what there is not."""
        self.name = source.name
        self.segment = source.segment
        self.resource = source.resource
        self._store = store_at(source.element) if source.element else None
        self._always: list[_Compiled] = []
        self._by_field: dict[int, list[_Compiled]] = {}
        self._kept: dict[int, str] = {}
        self.nulls = Nulls(source)
        for number, rule in enumerate(source.rules, 1):
            if rule.keep and not rule.when:
                self._kept[rule.field] = rule.keep
                continue
            try:
                compiled = _Compiled(_compile(rule, source), needed_fields(rule.when))
            except ConfigurationError as error:
                raise ConfigurationError(
                    f"Segment map {source.name}, rule {number}: {error.message}"
                ) from error
            (self._by_field.setdefault(rule.field, []) if rule.field else self._always).append(compiled)

    def plan(self, fields: tuple[int, ...], index: int) -> Plan:
        """Return what is to be done with a segment at `index` whose filled fields are `fields`."""
        rules = [*self._always, *(rule for field in fields for rule in self._by_field.get(field, ()))]
        kept = {field: self._kept[field] for field in fields if field in self._kept}
        return Plan(
            tuple(rule.apply for rule in rules if rule.needs.issubset(fields)),
            tuple(Kept(f"{self.segment}-{field}", where, index) for field, where in kept.items()),
            tuple(kept),
        )

    def apply(self, plan: Plan, segment: Segment, target: JsonObject, run: Run, account: Account) -> None:
        """Write what the rules of `plan` make of `segment` into `target`."""
        rules, kept, covered = plan
        store = self._store
        element: JsonObject = target if store is None else {}
        for apply in rules:
            apply(segment, element, run, account)
        if kept:
            account.whole.update(covered)
            run.report.kept.extend(kept)
        if store is not None and element:
            store(target, element)


def needed_fields(conditions: Sequence[str]) -> frozenset[int]:
    """Return the fields without which the conditions so named cannot hold."""
    return frozenset(field for field in map(needed_field, conditions) if field)


def all_of(conditions: Sequence[Condition]) -> Condition | None:
    """Return one condition that holds when all do, None when there is none to hold."""
    if not conditions:
        return None
    if len(conditions) == 1:
        return conditions[0]
    return lambda segment, run: all(holds(segment, run) for holds in conditions)


def _compile(rule: Rule, source: SegmentMap) -> Apply:
    when = all_of([condition(name) for name in rule.when])
    if rule.use:
        apply = segment_function(rule.use)
    elif rule.keep:
        apply = _keeping(rule)
    elif rule.link:
        apply = _link(rule)
    elif rule.field:
        apply = from_field(rule, source)
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
