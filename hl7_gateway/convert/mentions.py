"""Resources that a field only mentions (a doctor, a ward, an organization): each once in the Bundle.

The key is the resource's first identifier. A resource without one gets an identifier derived from what the
message says of it, in a namespace of the sender, so that the same words make the same resource when the
message comes again.
"""

from typing import Final, NamedTuple

from hie.core.fhir.json import JsonObject, dumps
from hl7_gateway.convert.maps import ResourceUse
from hl7_gateway.convert.naming import IDENTIFIERS, Address, Key, address, name_uuid
from hl7_gateway.convert.report import Unmapped
from hl7_gateway.convert.run import Run
from hl7_gateway.er7.message import Segment
from hl7_gateway.sender import Sender

_USES: Final[dict[str, ResourceUse]] = {
    kind: ResourceUse(name=f"mentioned {kind}", type=kind, key="", write="create")
    for kind in ("Device", "Location", "Organization", "Practitioner", "PractitionerRole")
}
MENTIONABLE = frozenset(_USES)

DIFFERS = "differs from what the message said of the same resource before"


class Mention(NamedTuple):
    """A resource ready to be put into Bundles; `resource` is shared by all of them.

    `named` is its type with its key.
    """

    use: ResourceUse
    resource: JsonObject
    named: tuple[str, Key]
    address: Address
    display: str | None


def mention_of(kind: str, content: JsonObject, sender: Sender) -> Mention:
    """Return the mention of a resource of `kind` with `content` (no resourceType, no id)."""
    resource: JsonObject = {"resourceType": kind, **content}
    key = next(
        ((i["system"], i["value"]) for i in content.get("identifier", ()) if "system" in i and "value" in i),
        None,
    )
    if key is None:
        key = (sender.system(kind), name_uuid(IDENTIFIERS, dumps(resource).decode()))
        derived = {"system": key[0], "value": key[1]}
        resource["identifier"] = [*resource.get("identifier", ()), derived]
    return Mention(_USES[kind], resource, (kind, key), address(kind, key), _display(content))


def mention(run: Run, kind: str, content: JsonObject, segment: Segment) -> JsonObject:
    """Return a Reference to a resource of `kind` with `content`, which is put into the Bundle once."""
    reference = refer(run, (mention_of(kind, content, run.sender),), segment)
    assert reference is not None  # noqa: S101 - one mention gives one reference; tells the type checker
    return reference


def mention_chain(run: Run, kind: str, parts: list[JsonObject], segment: Segment) -> JsonObject | None:
    """Return a Reference to the first of `parts`, each of which is part of the next."""
    return refer(run, tuple([mention_of(kind, part, run.sender) for part in parts]), segment)


def refer(run: Run, mentions: tuple[Mention, ...], segment: Segment) -> JsonObject | None:
    """Return a Reference to the first of `mentions` (bed, room, ward), each of which is part of the next.

    A resource whose key is in the Bundle already is not put there again.
    """
    reference: JsonObject | None = None
    # The chain is told from the smallest on, and put from the largest on.
    for use, resource, named, address_of, display in mentions[::-1]:
        known = run.mentions.get(named)
        if known is None:
            known = run.mention(use, segment, resource, named, address_of)
            if reference is not None:
                known.resource["partOf"] = reference
        elif known.source is not resource:
            merge(run, known.resource, resource, segment)
        if display is None:
            reference = known.reference
        else:
            # A Reference with a display of its own shares the target's address when the Bundle is closed.
            reference = {"reference": address_of.full_url, "display": display}
            known.aliases = (*known.aliases, reference)
    return reference


def merge(run: Run, known: JsonObject, again: JsonObject, segment: Segment) -> None:
    """Add to `known` what `again` says beyond it; a contradiction stays as it was and is reported."""
    for name, value in again.items():
        before = known.get(name)
        if before is None:
            known[name] = value
        elif before == value:
            continue
        elif isinstance(before, list) and isinstance(value, list):
            # A new list: parts of a resource may be shared with other messages.
            known[name] = [*before, *(item for item in value if item not in before)]
        else:
            length = len(dumps(value))
            run.report.unmapped.append(Unmapped(segment.name, length, f"{name} {DIFFERS}", segment.index))


def _display(content: JsonObject) -> str | None:
    name = content.get("name")
    if isinstance(name, str):
        return name
    if isinstance(name, list) and name and "text" in name[0]:
        text: str = name[0]["text"]
        return text
    return None
