"""The maps as they stand in memory: what the YAML files under `hl7_gateway/maps` say, checked for form.

Nothing here runs a rule; `rules` compiles them. The format is described in `hl7_gateway/maps/README.md`.
"""

from dataclasses import dataclass, field
from typing import Literal

from hie.core.fhir.json import Json, JsonObject

Write = Literal["merge", "update", "create"]
"""merge and update: `PUT Type?identifier=...`, the message decides; create: `POST` with ifNoneExist.

merge leaves what the message does not say as it is stored (HL7: empty is no change), update replaces.
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a segment map.

    `field` and `component` are 0 where the rule takes no part of the segment of its own (a constant, or the
    part of the element rule around it).
    """

    to: str
    field: int = 0
    component: int = 0
    function: str = ""
    concept_map: str = ""
    namespace: str = ""
    constant: Json = None
    default: JsonObject | None = None
    refer: str = ""
    link: str = ""
    element: tuple["Rule", ...] = ()
    when: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    use: str = ""
    keep: str = ""
    clears: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentMap:
    """The rules from one segment to one resource type, or to one element of it (`element`)."""

    name: str
    segment: str
    resource: str
    element: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """A resource that messages produce, under the name by which maps speak of it."""

    name: str
    type: str
    key: str
    write: Write
    refer: tuple[tuple[str, str], ...] = ()
    belongs: tuple[str, ...] = ()
    complete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done with a segment: the rules of `map` fill a new resource or one that is there."""

    name: str
    is_new: bool
    map: str
    begins_if_none: bool = False
    when: tuple[str, ...] = ()
    refer: tuple[tuple[str, str], ...] = ()
    referred: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A segment at one place of the message: what it yields, and which segments may hang below it."""

    segment: str
    steps: tuple[Step, ...] = ()
    children: dict[str, "Node"] = field(default_factory=dict)
    limit: int = 0
    is_required: bool = False
    unmapped: str = ""


@dataclass(frozen=True, slots=True)
class MessageMap:
    """What a message type becomes: its triggers ("ADT^A01"), its resources, its segments."""

    structure: str
    triggers: tuple[str, ...]
    resources: dict[str, ResourceUse]
    children: dict[str, Node]
