"""The conversion of an HL7 v2 message into a FHIR transaction Bundle, by the maps.

An Engine compiles all maps once; between messages it keeps only what pure functions made of values that
recur. One serves any number of threads.

https://build.fhir.org/ig/HL7/v2-to-fhir/
"""

from dataclasses import dataclass
from datetime import datetime

from hie.core.errors import ConfigurationError, NoMapError, RequiredFieldError, SegmentSequenceError
from hie.core.fhir.json import JsonObject
from hie.core.ports import Translator
from hl7_gateway.convert import registration
from hl7_gateway.convert.accounting import NO_RULE, Account
from hl7_gateway.convert.bundle import Closing, close
from hl7_gateway.convert.completion import completion
from hl7_gateway.convert.keys import key_function
from hl7_gateway.convert.loading import load_message_maps, load_segment_maps
from hl7_gateway.convert.maps import MessageMap, Node, ResourceUse
from hl7_gateway.convert.memory import Memories
from hl7_gateway.convert.nulls import reason
from hl7_gateway.convert.report import Report, Unmapped
from hl7_gateway.convert.rules import CompiledMap
from hl7_gateway.convert.run import Frame, Run
from hl7_gateway.convert.steps import CompiledStep
from hl7_gateway.convert.zones import in_zone_of
from hl7_gateway.datatypes.context import Context
from hl7_gateway.er7.message import Message, Segment
from hl7_gateway.sender import Sender

_WRITTEN = 7
# MSH-1 and MSH-2 are what the reader cuts by.
_DELIMITER_FIELDS = 2
_ANYWHERE = frozenset({"ARV", "NTE"})
NOT_IN_STRUCTURE = "the segment has no place in the map of this message"


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted message: transaction Bundle, account of what is not in it, event ("ADT^A01")."""

    bundle: JsonObject
    report: Report
    event: str


class _Compiled:
    """A message map ready to run."""

    __slots__ = ("children", "required", "steps", "structure")

    def __init__(self, source: MessageMap, maps: dict[str, CompiledMap]) -> None:
        self.structure = source.structure
        self.children = source.children
        self.required = tuple(name for name, node in source.children.items() if node.is_required)
        self.steps: dict[int, tuple[CompiledStep, ...]] = {}
        for node in source.children.values():
            self._compile(node, source, maps)

    def _compile(self, node: Node, source: MessageMap, maps: dict[str, CompiledMap]) -> None:
        try:
            self.steps[id(node)] = tuple(
                CompiledStep(step, source.resources, maps, node) for step in node.steps
            )
        except ConfigurationError as error:
            raise ConfigurationError(
                f"Message map {source.structure}, segment {node.segment}: {error.message}"
            ) from error
        for child in node.children.values():
            self._compile(child, source, maps)


class Engine:
    """All maps, compiled."""

    def __init__(self, translator: Translator) -> None:
        """Compile every map; raises ConfigurationError that names the file and what is wrong in it."""
        registration.load()
        self._translator = translator
        maps = {name: CompiledMap(source) for name, source in load_segment_maps().items()}
        self._messages: dict[str, _Compiled] = {}
        self._memories = Memories()
        self._uses: list[ResourceUse] = []
        self._closings: dict[int, Closing] = {}
        for source in load_message_maps():
            self._add(source, maps)

    @property
    def triggers(self) -> tuple[str, ...]:
        """The message types that have a map, sorted ("ADT^A01")."""
        return tuple(sorted(self._messages))

    def convert(self, message: Message, sender: Sender, *, received: datetime) -> Conversion:
        """Return the Bundle of `message` and the report of what is not in it.

        The same message from the same sender received at the same time gives the same bytes. Raises
        NoMapError when the message type has no map, RequiredFieldError, SegmentSequenceError or
        DataTypeError when a resource that the message is about cannot be built; whatever else is wrong in
        it is left out and reported.
        """
        if not message.code:
            raise RequiredFieldError("MSH-9 (message type) has no value", location="MSH-9")
        event = f"{message.code}^{message.event}"
        compiled = self._messages.get(event)
        if compiled is None:
            raise NoMapError(
                f"No map for message type {event}; supported are {', '.join(self.triggers)}", location="MSH-9"
            )
        if not message.control_id:
            raise RequiredFieldError("MSH-10 (message control ID) has no value", location="MSH-10")
        sender = in_zone_of(message.header.first(_WRITTEN).strip(), sender)
        context = Context(sender, message.version, self._translator)
        run = Run(message, context, received, event, self._memories.of(sender, message))
        _walk(run, compiled)
        bundle = close(run, self._closings)
        return Conversion(bundle, run.report, event)

    def _add(self, source: MessageMap, maps: dict[str, CompiledMap]) -> None:
        if not source.triggers:
            return
        compiled = _Compiled(source, maps)
        for trigger in source.triggers:
            if trigger in self._messages:
                raise ConfigurationError(f"Message map {source.structure}: {trigger} has a map already")
            self._messages[trigger] = compiled
        for use in source.resources.values():
            self._uses.append(use)
            self._closings[id(use)] = Closing(
                tuple(completion(name) for name in use.complete), key_function(use.key)
            )


def _walk(run: Run, compiled: _Compiled) -> None:
    root = Frame(compiled.children, None, None)
    frames = [root]
    frame = root
    for segment in _in_order(run.message.segments, compiled):
        accepting = _accepting(frame, frames, segment.name)
        if accepting is None:
            reason = NOT_IN_STRUCTURE
            run.report.unmapped.append(Unmapped(segment.name, len(segment.text), reason, segment.index))
            continue
        name = segment.name
        node = accepting.children[name]
        accepting.counts[name] = accepting.counts.get(name, 0) + 1
        run.frame = accepting
        _take(run, node, compiled.steps[id(node)], segment)
        if node.children:
            frame = Frame(node.children, accepting, segment)
            frames.append(frame)
        elif accepting is not frame:
            frame = accepting
    for name in compiled.required:
        if not root.counts.get(name):
            raise SegmentSequenceError(f"A message {run.event} without segment {name}", location=name)


def _in_order(segments: list[Segment], compiled: _Compiled) -> list[Segment]:
    """Return the segments, the first PID before all that is the patient's: some put it behind an order."""
    patients = compiled.children.get("PID")
    place = next((n for n, segment in enumerate(segments) if segment.name == "PID"), 0)
    if patients is None or not place:
        return segments
    # ARV and NTE also stand in the header, before any patient.
    begin = next(
        (
            n
            for n in range(place)
            if segments[n].name in patients.children and segments[n].name not in _ANYWHERE
        ),
        place,
    )
    return [*segments[:begin], segments[place], *segments[begin:place], *segments[place + 1 :]]


def _accepting(frame: Frame, frames: list[Frame], name: str) -> Frame | None:
    """Return where a segment belongs: the nearest open place, else the latest of all that takes it."""
    nearest: Frame | None = frame
    while nearest is not None:
        if nearest.accepts(name):
            return nearest
        nearest = nearest.parent
    # Senders put segments after groups that they should precede; they still say what they say.
    return next((earlier for earlier in reversed(frames) if earlier.accepts(name)), None)


def _take(run: Run, node: Node, steps: tuple[CompiledStep, ...], segment: Segment) -> None:
    account = Account(segment)
    fields = tuple(segment.filled())
    taken = [(step, step.take(segment, fields, run, account)) for step in steps]
    is_header = segment.name == "MSH"
    account.close(fields[_DELIMITER_FIELDS:] if is_header else fields, run.report, node.unmapped or NO_RULE)
    for field, line in account.nulls:
        cleared = [step.clear(field, segment, made, run) for step, made in taken if made is not None]
        told = reason([outcome for outcome in cleared if outcome is not None])
        run.report.unmapped[line] = run.report.unmapped[line]._replace(reason=told)
