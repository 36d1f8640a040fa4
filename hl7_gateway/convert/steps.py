"""The steps of a message map: a segment begins a resource or adds to one, and references are set.

Here they are checked; `visits` writes what they do as Python.

https://build.fhir.org/ig/HL7/v2-to-fhir/message_maps.html (the column "References").
"""

from hie.core.errors import ConfigurationError
from hl7_gateway.convert.accounting import Account
from hl7_gateway.convert.conditions import Condition, condition
from hl7_gateway.convert.maps import Node, ResourceUse, Step
from hl7_gateway.convert.nulls import Outcome, reason
from hl7_gateway.convert.rules import CompiledMap
from hl7_gateway.convert.run import Instance, Run
from hl7_gateway.er7.message import Segment


class CompiledStep:
    """One step ready to be written: every name in it stands for something."""

    __slots__ = ("conditions", "map", "refer", "step", "use")

    def __init__(
        self, step: Step, resources: dict[str, ResourceUse], maps: dict[str, CompiledMap], node: Node
    ) -> None:
        """Compile `step` of `node`; raises ConfigurationError for a name that stands for nothing."""
        if step.name not in resources:
            raise ConfigurationError(f"there is no resource `{step.name}`")
        if step.map not in maps:
            raise ConfigurationError(f"there is no segment map `{step.map}`")
        self.step = step
        self.use = resources[step.name]
        self.map = maps[step.map]
        if self.map.segment != node.segment:
            raise ConfigurationError(f"segment map `{step.map}` is one of {self.map.segment}")
        if self.map.resource != self.use.type:
            raise ConfigurationError(
                f"segment map `{step.map}` makes {self.map.resource}, not {self.use.type}"
            )
        self.conditions: tuple[tuple[str, Condition], ...] = tuple(
            (name, condition(name)) for name in step.when
        )
        for other in (
            *(name for _, name in (*self.use.refer, *step.refer, *step.referred)),
            *self.use.belongs,
        ):
            if other not in resources:
                raise ConfigurationError(f"there is no resource `{other}` to refer to")
        own = {path for path, _ in step.refer}
        self.refer: dict[str, list[str]] = {}
        """Element paths with the names of the resources of which the first that is there is referred to."""
        for path, name in (*(pair for pair in self.use.refer if pair[0] not in own), *step.refer):
            self.refer.setdefault(path, []).append(name)

    def clear(self, field: int, segment: Segment, instance: Instance, run: Run) -> Outcome | None:
        """Take back what `field`, an explicit null, says of `instance`; None if it says nothing of it."""
        nulls, write = self.map.nulls, self.use.write
        if not nulls.says(field):
            return None
        kind = self.use.type
        if write == "create":
            return Outcome(kind)
        if write == "update":
            return Outcome(kind, is_replaced=True)
        paths = nulls.paths(field, segment, run)
        instance.cleared = (*instance.cleared, *paths)
        return Outcome(kind, paths, not paths and nulls.is_replaced(field, segment, instance.resource))


def take_back(
    steps: tuple[CompiledStep, ...],
    made: tuple[Instance | None, ...],
    segment: Segment,
    run: Run,
    account: Account,
) -> None:
    """Carry out the nulls of a segment in what its steps have made, and say so in the report.

    `made` is what each of `steps` filled, None for one that did nothing.
    """
    for field, line in account.nulls:
        cleared = [
            step.clear(field, segment, instance, run)
            for step, instance in zip(steps, made, strict=True)
            if instance is not None
        ]
        told = reason([outcome for outcome in cleared if outcome is not None])
        run.report.unmapped[line] = run.report.unmapped[line]._replace(reason=told)
