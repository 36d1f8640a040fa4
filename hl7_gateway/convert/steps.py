"""The steps of a message map compiled: a segment begins a resource or adds to one, and references are set.

https://build.fhir.org/ig/HL7/v2-to-fhir/message_maps.html (the column "References").
"""

from itertools import compress, count
from typing import NamedTuple

from hie.core.errors import ConfigurationError
from hl7_gateway.convert.accounting import NO_RULE, Account
from hl7_gateway.convert.conditions import condition
from hl7_gateway.convert.maps import Node, ResourceUse, Step
from hl7_gateway.convert.nulls import Outcome, reason
from hl7_gateway.convert.places import Store, store_at
from hl7_gateway.convert.report import Unmapped
from hl7_gateway.convert.rules import CompiledMap, Plan, all_of, needed_fields
from hl7_gateway.convert.run import Instance, Run
from hl7_gateway.er7.message import Segment

# MSH-1 and MSH-2 are what the reader cuts by.
_DELIMITER_FIELDS = 2
# Patterns of filled fields that a place remembers before it forgets all.
_PLANS = 512


class CompiledStep:
    """One step ready to run."""

    __slots__ = (
        "_begins_if_none",
        "_is_new",
        "_map",
        "_name",
        "_needs",
        "_plain_refer",
        "_refer",
        "_referred",
        "_use",
        "when",
    )

    def __init__(
        self, step: Step, resources: dict[str, ResourceUse], maps: dict[str, CompiledMap], node: Node
    ) -> None:
        """Compile `step` of `node`; raises ConfigurationError for a name that stands for nothing."""
        if step.name not in resources:
            raise ConfigurationError(f"there is no resource `{step.name}`")
        if step.map not in maps:
            raise ConfigurationError(f"there is no segment map `{step.map}`")
        self._name = step.name
        self._is_new = step.is_new
        self._begins_if_none = step.begins_if_none
        self._use = resources[step.name]
        self._map = maps[step.map]
        if self._map.segment != node.segment:
            raise ConfigurationError(f"segment map `{step.map}` is one of {self._map.segment}")
        if self._map.resource != self._use.type:
            raise ConfigurationError(
                f"segment map `{step.map}` makes {self._map.resource}, not {self._use.type}"
            )
        self.when = all_of([condition(name) for name in step.when])
        self._needs = needed_fields(step.when)
        for _, other in (*self._use.refer, *step.refer, *step.referred):
            if other not in resources:
                raise ConfigurationError(f"there is no resource `{other}` to refer to")
        own = {path for path, _ in step.refer}
        pairs = (*(pair for pair in self._use.refer if pair[0] not in own), *step.refer)
        self._refer = _grouped(pairs)
        # Most refer by elements of the resource itself, each to one kind of resource.
        is_plain = all(path.isalnum() for path, _ in pairs) and len(dict(pairs)) == len(pairs)
        self._plain_refer = pairs if is_plain else None
        self._referred = tuple((store_at(path), other) for path, other in step.referred)

    def plan(self, fields: tuple[int, ...], index: int) -> Plan | None:
        """Return what the map does with a segment at `index` of these filled fields, None if nothing."""
        return self._map.plan(fields, index) if self._needs.issubset(fields) else None

    def take(self, plan: Plan, segment: Segment, run: Run, account: Account) -> Instance | None:
        """Do the step for `segment`; return the resource that it filled, None if there is none to add to."""
        frame = run.frame
        if self._is_new:
            instance = self._begin(run, segment)
        else:
            found = frame.find(self._name)
            if found is None and self._begins_if_none:
                found = self._begin(run, segment)
            if found is None:
                reason = f"there is no {self._name} before it in the message"
                run.report.unmapped.append(Unmapped(segment.name, len(segment.text), reason, segment.index))
                return None
            instance = found
        self._map.apply(plan, segment, instance.resource, run, account)
        for store, other in self._referred:
            target = instance.links.get(other) or frame.find(other)
            if target is not None:
                store(target.resource, instance.reference)
        return instance

    def clear(self, field: int, segment: Segment, instance: Instance, run: Run) -> Outcome | None:
        """Take back what `field`, an explicit null, says of `instance`; None if it says nothing of it."""
        nulls, write = self._map.nulls, self._use.write
        if not nulls.says(field):
            return None
        kind = self._use.type
        if write == "create":
            return Outcome(kind)
        if write == "update":
            return Outcome(kind, is_replaced=True)
        paths = nulls.paths(field, segment, run)
        instance.cleared = (*instance.cleared, *paths)
        return Outcome(kind, paths, not paths and nulls.is_replaced(field, segment, instance.resource))

    def _begin(self, run: Run, segment: Segment) -> Instance:
        instance = run.begin(self._use, segment)
        frame = run.frame
        frame.instances[self._name] = instance
        find, links, resource = frame.find, instance.links, instance.resource
        if self._plain_refer is not None:
            for element, name in self._plain_refer:
                other = find(name)
                if other is not None and other is not instance:
                    links[name] = other
                    resource[element] = other.reference
            return instance
        for store, others in self._refer:
            for name in others:
                other = find(name)
                if other is not None and other is not instance:
                    links[name] = other
                    store(resource, other.reference)
                    break
        return instance


class SegmentPlan(NamedTuple):
    """What the steps of a place come to for given filled fields, and the fields to be accounted for."""

    steps: tuple[tuple[CompiledStep, Plan], ...]
    fields: tuple[int, ...]


class Steps:
    """The steps of one place of a message map, and for each pattern of filled fields what they come to."""

    __slots__ = ("_is_header", "_plans", "_reason", "_steps")

    def __init__(self, steps: tuple[CompiledStep, ...], node: Node) -> None:
        """Take the steps of `node` in order."""
        self._steps = steps
        self._plans: dict[tuple[tuple[int, ...], int], SegmentPlan] = {}
        self._is_header = node.segment == "MSH"
        self._reason = node.unmapped or NO_RULE

    def take(self, segment: Segment, run: Run) -> None:
        """Do the steps for `segment`, and add to the report what none of them has read."""
        # The name is the first of the texts, so the pattern begins with 0.
        pattern = (tuple(compress(count(), segment.fields)), segment.index)
        plan = self._plans.get(pattern)
        if plan is None:
            plan = self._plan(pattern)
        account = Account(segment)
        steps, fields = plan
        taken: list[tuple[CompiledStep, Instance]] = []
        for step, part in steps:
            when = step.when
            if when is None or when(segment, run):
                instance = step.take(part, segment, run, account)
                if instance is not None:
                    taken.append((step, instance))
        if not account.whole.issuperset(fields):
            account.close(fields, run.report, self._reason)
        for field, line in account.nulls:
            cleared = [step.clear(field, segment, made, run) for step, made in taken]
            told = reason([outcome for outcome in cleared if outcome is not None])
            run.report.unmapped[line] = run.report.unmapped[line]._replace(reason=told)

    def _plan(self, pattern: tuple[tuple[int, ...], int]) -> SegmentPlan:
        (_, *filled), index = pattern
        fields = tuple(filled)
        planned = [(step, step.plan(fields, index)) for step in self._steps]
        plan = SegmentPlan(
            tuple([(step, plan) for step, plan in planned if plan is not None]),
            fields[_DELIMITER_FIELDS:] if self._is_header else fields,
        )
        if len(self._plans) >= _PLANS:
            self._plans.clear()
        self._plans[pattern] = plan
        return plan


def _grouped(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[Store, tuple[str, ...]], ...]:
    paths: dict[str, list[str]] = {}
    for path, name in pairs:
        paths.setdefault(path, []).append(name)
    return tuple((store_at(path), tuple(names)) for path, names in paths.items())
