"""The rules of a segment map, compiled once at start: every name in them stands for something.

https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from functools import cached_property

from hie.core.errors import ConfigurationError
from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import Account
from hl7_gateway.convert.conditions import condition
from hl7_gateway.convert.fields import Apply, from_field
from hl7_gateway.convert.functions import segment_function
from hl7_gateway.convert.makers import fresh
from hl7_gateway.convert.maps import Rule, SegmentMap
from hl7_gateway.convert.nulls import Nulls
from hl7_gateway.convert.places import Store, store_at
from hl7_gateway.convert.report import Kept
from hl7_gateway.convert.run import Run
from hl7_gateway.convert.source import Source
from hl7_gateway.convert.straight import Fill, Line, written
from hl7_gateway.er7.message import Segment


class CompiledMap:
    """A segment map ready to run."""

    def __init__(self, source: SegmentMap) -> None:
        """Compile `source`; raises ConfigurationError naming the map and what there is not."""
        self.name = source.name
        self.segment = source.segment
        self.resource = source.resource
        self.store: Store | None = store_at(source.element) if source.element else None
        """What writes the element that the map fills into the resource; None for a map of the resource."""
        self.nulls = Nulls(source)
        self.lines: list[Line] = []
        for number, rule in enumerate(source.rules, 1):
            try:
                self.lines.append(_line(rule, source))
            except ConfigurationError as error:
                raise ConfigurationError(
                    f"Segment map {source.name}, rule {number}: {error.message}"
                ) from error

    @cached_property
    def fill(self) -> Fill:
        """The function that the map is: it fills the resource, or the element that `store` writes."""
        return self._written().compile(f"<segment map {self.name}>")

    @property
    def text(self) -> str:
        """The source text of `fill`."""
        return self._written().text

    def _written(self) -> Source:
        return written(self.name.replace("-", "_"), self.segment, self.lines)


def _line(rule: Rule, source: SegmentMap) -> Line:
    conditions = tuple((name, condition(name)) for name in rule.when)
    if rule.field and not rule.use and not rule.keep and not rule.link:
        of_field = from_field(rule, source)
        return Line(rule, of_field.apply, conditions, of_field)
    return Line(rule, _apply(rule), conditions)


def _apply(rule: Rule) -> Apply:
    if rule.use:
        return segment_function(rule.use)
    if rule.keep:
        return _keeping(rule)
    return _link(rule) if rule.link else _constant(rule)


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
