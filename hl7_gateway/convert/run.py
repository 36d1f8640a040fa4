"""One conversion under way: the resources so far, where they are visible, and the account of the message.

It is made for one message and thrown away. Resources come into being in the order of the message; a
reference to one is a dictionary that every referring element shares and that gets its `urn:uuid:` when the
resource's key is known.
"""

from collections.abc import Sequence
from datetime import datetime

from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.maps import ResourceUse
from hl7_gateway.convert.memory import Memory
from hl7_gateway.convert.naming import Address, Key
from hl7_gateway.convert.report import Report
from hl7_gateway.datatypes.context import Context
from hl7_gateway.er7.message import Message, Segment


class Instance:
    """One resource of the Bundle."""

    # Most resources keep these.
    address: Address | None = None
    source: JsonObject | None = None
    aliases: tuple[JsonObject, ...] = ()
    cleared: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    key: Key | None = None
    key_text = ""
    """The key as one part of another, when there is one."""
    is_derived = False

    def __init__(self, use: ResourceUse, segment: Segment, ordinal: int, resource: JsonObject) -> None:
        """Begin `resource` at `segment`, which is the `ordinal`th (from 1) of its kind in this message."""
        self.use = use
        self.resource = resource
        self.segment = segment
        self.ordinal = ordinal
        self.reference: JsonObject = {}
        self.links: dict[str, Instance] = {}


class Frame:
    """A place of the message and the resources visible there."""

    __slots__ = ("_scopes", "instances", "segment")

    def __init__(self, parent: "Frame | None", segment: Segment | None) -> None:
        """Open a place below `parent`, at `segment`."""
        self.segment = segment
        self.instances: dict[str, Instance] = {}
        # What is visible here, the nearest first.
        self._scopes: tuple[dict[str, Instance], ...] = (
            (self.instances,) if parent is None else (self.instances, *parent._scopes)  # noqa: SLF001 - a Frame
        )

    def find(self, name: str) -> Instance | None:
        """Return the resource called `name` that is visible here: the nearest one."""
        for instances in self._scopes:
            if name in instances:
                return instances[name]
        return None


class Run:
    """The state of one conversion."""

    __slots__ = (
        "_named",
        "context",
        "counts",
        "event",
        "frame",
        "instances",
        "memory",
        "mentions",
        "message",
        "received",
        "report",
        "scratch",
        "sender",
    )

    def __init__(
        self, message: Message, context: Context, received: datetime, event: str, memory: Memory
    ) -> None:
        """Begin with nothing; `received` is aware; `event` is "ADT^A01"."""
        self.message = message
        self.sender = context.sender
        self.context = context
        self.received = received
        self.event = event
        self.memory = memory
        self.scratch: Memory = {}
        self.report = Report()
        self.instances: list[Instance] = []
        self.mentions: dict[tuple[str, Key], Instance] = {}
        self.counts: dict[str, int] = {}
        self._named: dict[str, list[Instance]] = {}
        self.frame: Frame = Frame(None, None)

    def begin(self, use: ResourceUse, segment: Segment) -> Instance:
        """Return a new resource in this Bundle."""
        named, name = self._named, use.name
        if name in named:
            alike = named[name]
        else:
            alike = named[name] = []
        instance = Instance(use, segment, len(alike) + 1, {"resourceType": use.type})
        alike.append(instance)
        self.instances.append(instance)
        return instance

    def mention(
        self, use: ResourceUse, segment: Segment, source: JsonObject, key: Key, address: Address
    ) -> Instance:
        """Return a resource new in this Bundle that is a copy of `source`, under a key known beforehand."""
        instance = Instance(use, segment, 1, source.copy())
        instance.source = source
        instance.key = key
        instance.address = address
        instance.reference["reference"] = address.full_url
        self.instances.append(instance)
        self.mentions[use.type, key] = instance
        return instance

    def named(self, name: str) -> Sequence[Instance]:
        """Return the resources called `name` in order."""
        return self._named.get(name, ())
