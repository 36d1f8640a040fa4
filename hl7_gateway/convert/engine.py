"""The conversion of an HL7 v2 message into a FHIR transaction Bundle, by the maps.

An Engine compiles all maps once; between messages it keeps only what pure functions made of values that
recur. One serves any number of threads.

https://build.fhir.org/ig/HL7/v2-to-fhir/
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from hie.core.errors import ConfigurationError, NoMapError, RequiredFieldError, SegmentSequenceError
from hie.core.fhir.json import JsonObject
from hie.core.ports import Translator
from hl7_gateway.convert import registration
from hl7_gateway.convert.bundle import Closing, close
from hl7_gateway.convert.completion import completion
from hl7_gateway.convert.keys import key_function
from hl7_gateway.convert.loading import load_message_maps, load_segment_maps
from hl7_gateway.convert.maps import MessageMap, Node, ResourceUse
from hl7_gateway.convert.memory import Memories
from hl7_gateway.convert.report import Report, Unmapped
from hl7_gateway.convert.route import Stop, route
from hl7_gateway.convert.rules import CompiledMap
from hl7_gateway.convert.run import Frame, Run
from hl7_gateway.convert.steps import CompiledStep
from hl7_gateway.convert.visits import Take, Visit, made_by
from hl7_gateway.convert.zones import in_zone_of
from hl7_gateway.datatypes.context import Context
from hl7_gateway.er7.message import Message
from hl7_gateway.sender import Sender

_WRITTEN = 7
# Sequences of segment names that a map remembers before it forgets all, and how long they may be.
_ROUTES = 512
_ROUTE_LENGTH = 64
NOT_IN_STRUCTURE = "the segment has no place in the map of this message"


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted message: transaction Bundle, account of what is not in it, event ("ADT^A01")."""

    bundle: JsonObject
    report: Report
    event: str


class _Route(NamedTuple):
    """Each segment's position, what takes it, number of its frame, whether it opens one; what is lacking."""

    stops: tuple[tuple[int, Take | None, int, bool], ...]
    lacking: str | None


class CompiledMessage:
    """A message map ready to run."""

    __slots__ = ("_maps", "_routes", "_source", "_visits", "children", "required", "structure")

    def __init__(self, source: MessageMap, maps: dict[str, CompiledMap]) -> None:
        self.structure = source.structure
        self.children = source.children
        self.required = tuple(name for name, node in source.children.items() if node.is_required)
        self._source = source
        self._maps = maps
        self._visits: dict[int, Visit] = {}
        self._routes: dict[tuple[str, ...], _Route] = {}
        self._compile((source.structure,), source.children, ())

    def _compile(
        self, path: tuple[str, ...], children: dict[str, Node], above: tuple[frozenset[str], ...]
    ) -> None:
        scopes = (made_by(children), *above)
        for node in children.values():
            try:
                steps = tuple(
                    CompiledStep(step, self._source.resources, self._maps, node) for step in node.steps
                )
            except ConfigurationError as error:
                raise ConfigurationError(
                    f"Message map {self.structure}, segment {node.segment}: {error.message}"
                ) from error
            place = (*path, node.segment)
            self._visits[id(node)] = Visit(place, node, steps, scopes)
            self._compile(place, node.children, scopes)

    @property
    def visits(self) -> list[Visit]:
        """Every place of the map."""
        return list(self._visits.values())

    def route(self, names: tuple[str, ...]) -> _Route:
        """Return the way of a message whose segments are called `names`."""
        known = self._routes.get(names)
        if known is not None:
            return known
        stops = route(names, self.children)
        top = {node.segment for _, node, frame, _ in stops if node is not None and not frame}
        found = _Route(self._takes(stops), next((name for name in self.required if name not in top), None))
        # A message of hundreds of segments hardly comes twice.
        if len(names) <= _ROUTE_LENGTH:
            if len(self._routes) >= _ROUTES:
                self._routes.clear()
            self._routes[names] = found
        return found

    def _takes(self, stops: Sequence[Stop]) -> tuple[tuple[int, Take | None, int, bool], ...]:
        """Return the stops with their functions; only frames are left in which a segment stands."""
        stood_in = {stop.frame for stop in stops}
        numbers = {0: 0}
        opened = 0
        takes: list[tuple[int, Take | None, int, bool]] = []
        for position, node, frame, opens in stops:
            opened += opens
            is_stood_in = opens and opened in stood_in
            if is_stood_in:
                numbers[opened] = len(numbers)
            take = None if node is None else self._visits[id(node)].take
            takes.append((position, take, numbers[frame], is_stood_in))
        return tuple(takes)


class Engine:
    """All maps, compiled."""

    def __init__(self, translator: Translator) -> None:
        """Compile every map; raises ConfigurationError that names the file and what is wrong in it."""
        registration.load()
        self._translator = translator
        maps = {name: CompiledMap(source) for name, source in load_segment_maps().items()}
        self._messages: dict[str, CompiledMessage] = {}
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
        code = message.code
        if not code:
            raise RequiredFieldError("MSH-9 (message type) has no value", location="MSH-9")
        event = f"{code}^{message.event}"
        compiled = self._messages.get(event)
        if compiled is None:
            raise NoMapError(
                f"No map for message type {event}; supported are {', '.join(self.triggers)}", location="MSH-9"
            )
        if not message.control_id:
            raise RequiredFieldError("MSH-10 (message control ID) has no value", location="MSH-10")
        sender = in_zone_of(message.header.first(_WRITTEN).strip(), sender)
        context = Context(sender, message.version, self._translator)
        run = Run(message, context, received, event, self._memories.of(context, message))
        _walk(run, compiled)
        bundle = close(run, self._closings)
        return Conversion(bundle, run.report, event)

    def _add(self, source: MessageMap, maps: dict[str, CompiledMap]) -> None:
        if not source.triggers:
            return
        compiled = CompiledMessage(source, maps)
        for trigger in source.triggers:
            if trigger in self._messages:
                raise ConfigurationError(f"Message map {source.structure}: {trigger} has a map already")
            self._messages[trigger] = compiled
        for use in source.resources.values():
            self._uses.append(use)
            self._closings[id(use)] = Closing(
                use, tuple(completion(name) for name in use.complete), key_function(use.key)
            )


def _walk(run: Run, compiled: CompiledMessage) -> None:
    segments = run.message.segments
    stops, lacking = compiled.route(tuple([segment.name for segment in segments]))
    frames = [run.frame]
    for position, take, number, opens in stops:
        segment = segments[position]
        if take is None:
            reason = NOT_IN_STRUCTURE
            run.report.unmapped.append(Unmapped(segment.name, len(segment.text), reason, segment.index))
            continue
        run.frame = frame = frames[number]
        take(segment, run)
        if opens:
            frames.append(Frame(frame, segment))
    if lacking is not None:
        raise SegmentSequenceError(f"A message {run.event} without segment {lacking}", location=lacking)
