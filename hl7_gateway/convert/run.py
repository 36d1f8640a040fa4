"""One conversion under way: the resources so far, where they are visible, and the account of the message.

It is made for one message and thrown away. Resources come into being in the order of the message; a
reference to one is a dictionary that every referring element shares and that gets its `urn:uuid:` when the
resource's key is known.
"""

from collections import defaultdict
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
    named: tuple[str, Key] | None = None
    """Type and key, of what is only mentioned."""
    key_text = ""
    """The key as one part of another, when there is one."""
    is_derived = False

    def __init__(self, use: ResourceUse, segment: Segment, resource: JsonObject) -> None:
        """Begin `resource` at `segment`."""
        self.use = use
        self.resource = resource
        self.segment = segment
        self.reference: JsonObject = {}
        self.links: dict[str, Instance] = {}


class Frame:
    """A place of the message and the resources visible there."""

    __slots__ = ("scopes", "segment")

    def __init__(self, parent: "Frame | None", segment: Segment | None) -> None:
        """Open a place below `parent`, at `segment`."""
        self.segment = segment
        self.scopes: tuple[dict[str, Instance], ...] = ({},) if parent is None else ({}, *parent.scopes)
        """The resources by name that were begun here, at the place above, and so on."""

    def find(self, name: str) -> Instance | None:
        """Return the resource called `name` that is visible here: the nearest one."""
        for instances in self.scopes:
            if name in instances:
                return instances[name]
        return None


class Run:
    """The state of one conversion."""

    __slots__ = (
        "alike",
        "context",
        "counts",
        "event",
        "frame",
        "instances",
        "memory",
        "mentions",
        "message",
        "namespaces",
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
        # The sender's namespaces of derived identifiers by resource type.
        self.namespaces: dict[str, str] = {}
        self.instances: list[Instance] = []
        self.mentions: dict[tuple[str, Key], Instance] = {}
        self.counts: dict[str, int] = {}
        self.alike: defaultdict[str, list[Instance]] = defaultdict(list)
        """The resources begun so far by their name in the maps, in order."""
        self.frame: Frame = Frame(None, None)

    def mention(
        self, use: ResourceUse, segment: Segment, source: JsonObject, named: tuple[str, Key], address: Address
    ) -> Instance:
        """Return a resource new in this Bundle that is a copy of `source`, under a key known beforehand."""
        instance = self.mentions[named] = Instance(use, segment, source.copy())
        instance.source = source
        instance.named = named
        instance.address = address
        instance.reference["reference"] = address.full_url
        self.instances.append(instance)
        return instance

    def ordinal(self, instance: Instance) -> int:
        """Return which of its name (from 1) a resource is in this message."""
        return self.alike[instance.use.name].index(instance) + 1

    def named(self, name: str) -> Sequence[Instance]:
        """Return the resources called `name` in order."""
        return self.alike.get(name, ())
