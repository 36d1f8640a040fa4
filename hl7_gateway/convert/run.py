"""One conversion under way: the resources so far, where they are visible, and the account of the message.

It is made for one message and thrown away. Resources come into being in the order of the message; a
reference to one is a dictionary that every referring element shares and that gets its `urn:uuid:` when the
resource's key is known.
"""

from collections.abc import Iterator
from datetime import datetime

from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.maps import Node, ResourceUse
from hl7_gateway.convert.memory import Memory
from hl7_gateway.convert.naming import Address, Key
from hl7_gateway.convert.report import Report
from hl7_gateway.datatypes.context import Context
from hl7_gateway.er7.message import Message, Segment


class Instance:
    """One resource of the Bundle."""

    __slots__ = (
        "address",
        "aliases",
        "cleared",
        "is_derived",
        "key",
        "links",
        "ordinal",
        "reference",
        "resource",
        "segment",
        "source",
        "use",
        "weak",
    )

    def __init__(self, use: ResourceUse, segment: Segment, ordinal: int) -> None:
        """Begin the resource at `segment`, which is the `ordinal`th (from 1) of its kind in this message."""
        self.use = use
        self.resource: JsonObject = {"resourceType": use.type}
        self.segment = segment
        self.ordinal = ordinal
        self.address: Address | None = None
        self.source: JsonObject | None = None
        self.reference: JsonObject = {}
        self.aliases: list[JsonObject] = []
        self.cleared: list[str] = []
        self.weak: list[str] = []
        self.key: Key | None = None
        self.is_derived = False
        self.links: dict[str, Instance] = {}


class Frame:
    """A place of the message: the segments that may come below it and the resources visible there."""

    __slots__ = ("children", "counts", "instances", "parent", "segment")

    def __init__(self, children: dict[str, Node], parent: "Frame | None", segment: Segment | None) -> None:
        """Open a place below `parent`, at `segment`."""
        self.children = children
        self.parent = parent
        self.segment = segment
        self.counts: dict[str, int] = {}
        self.instances: dict[str, Instance] = {}

    def accepts(self, name: str) -> bool:
        """Whether one more segment `name` may come here."""
        node = self.children.get(name)
        return node is not None and (not node.limit or self.counts.get(name, 0) < node.limit)

    def find(self, name: str) -> Instance | None:
        """Return the resource called `name` that is visible here: the nearest one."""
        frame: Frame | None = self
        while frame is not None:
            found = frame.instances.get(name)
            if found is not None:
                return found
            frame = frame.parent
        return None


class Run:
    """The state of one conversion."""

    __slots__ = (
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
        self.frame: Frame = Frame({}, None, None)

    def begin(self, use: ResourceUse, segment: Segment) -> Instance:
        """Return a new resource in this Bundle."""
        ordinal = self.counts.get(use.name, 0) + 1
        self.counts[use.name] = ordinal
        instance = Instance(use, segment, ordinal)
        self.instances.append(instance)
        return instance

    def mention(
        self, use: ResourceUse, segment: Segment, source: JsonObject, key: Key, address: Address
    ) -> Instance:
        """Return a resource new in this Bundle that is a copy of `source`, under a key known beforehand."""
        instance = Instance(use, segment, 1)
        instance.resource = source.copy()
        instance.source = source
        instance.key = key
        instance.address = address
        instance.reference["reference"] = address.full_url
        self.instances.append(instance)
        self.mentions[use.type, key] = instance
        return instance

    def in_closing_order(self) -> list[Instance]:
        """Return all resources; Provenance speaks of the others, so it comes when they are closed."""
        others: list[Instance] = []
        last: list[Instance] = []
        for instance in self.instances:
            (last if instance.use.type == "Provenance" else others).append(instance)
        return others + last

    def named(self, name: str) -> Iterator[Instance]:
        """Return the resources called `name` in order."""
        return (instance for instance in self.instances if instance.use.name == name)
