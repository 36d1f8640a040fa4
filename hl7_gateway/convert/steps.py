"""The steps of a message map compiled: a segment begins a resource or adds to one, and references are set.

https://build.fhir.org/ig/HL7/v2-to-fhir/message_maps.html (the column "References").
"""

from hie.core.errors import ConfigurationError
from hl7_gateway.convert.accounting import Account
from hl7_gateway.convert.conditions import condition
from hl7_gateway.convert.maps import Node, ResourceUse, Step
from hl7_gateway.convert.nulls import Outcome
from hl7_gateway.convert.places import Store, store_at
from hl7_gateway.convert.report import Unmapped
from hl7_gateway.convert.rules import CompiledMap, all_of
from hl7_gateway.convert.run import Instance, Run
from hl7_gateway.er7.message import Segment


class CompiledStep:
    """One step ready to run."""

    __slots__ = ("_begins_if_none", "_is_new", "_map", "_name", "_refer", "_referred", "_use", "_when")

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
        self._when = all_of([condition(name) for name in step.when])
        for _, other in (*self._use.refer, *step.refer, *step.referred):
            if other not in resources:
                raise ConfigurationError(f"there is no resource `{other}` to refer to")
        own = {path for path, _ in step.refer}
        pairs = (*(pair for pair in self._use.refer if pair[0] not in own), *step.refer)
        self._refer = _grouped(pairs)
        self._referred = tuple((store_at(path), other) for path, other in step.referred)

    def take(self, segment: Segment, fields: tuple[int, ...], run: Run, account: Account) -> Instance | None:
        """Do the step for `segment`; return the resource that it filled, None if it was not to be done."""
        when = self._when
        if when is not None and not when(segment, run):
            return None
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
        self._map.apply(segment, fields, instance.resource, run, account)
        for store, other in self._referred:
            target = frame.find(other)
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
        instance.cleared.extend(paths)
        return Outcome(kind, paths, not paths and nulls.is_replaced(field, segment, instance.resource))

    def _begin(self, run: Run, segment: Segment) -> Instance:
        instance = run.begin(self._use, segment)
        frame = run.frame
        frame.instances[self._name] = instance
        find, links, resource = frame.find, instance.links, instance.resource
        for store, others in self._refer:
            for name in others:
                other = find(name)
                if other is not None and other is not instance:
                    links[name] = other
                    store(resource, other.reference)
                    break
        return instance


def _grouped(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[Store, tuple[str, ...]], ...]:
    paths: dict[str, list[str]] = {}
    for path, name in pairs:
        paths.setdefault(path, []).append(name)
    return tuple((store_at(path), tuple(names)) for path, names in paths.items())
