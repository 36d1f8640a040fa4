"""What the maps can do, for documentation and for those who prepare parts before the first message."""

from collections.abc import Iterator
from dataclasses import dataclass

from hl7_gateway.convert.loading import load_message_maps, load_segment_maps
from hl7_gateway.convert.maps import MessageMap, Node, Rule


@dataclass(frozen=True, slots=True)
class SupportedMessage:
    """A message type: its trigger ("ADT^A01"), its structure, what it reads and what it may make."""

    trigger: str
    structure: str
    segments: tuple[str, ...]
    resource_types: tuple[str, ...]


def supported_messages() -> list[SupportedMessage]:
    """Return every message type that has a map, by trigger."""
    mentioned = {name: _mentioned(found.rules) for name, found in load_segment_maps().items()}
    return sorted(
        (
            _supported(source, trigger, mentioned)
            for source in load_message_maps()
            for trigger in source.triggers
        ),
        key=lambda found: found.trigger,
    )


def resource_types() -> tuple[str, ...]:
    """Return the resource types that any message may make, in alphabetical order."""
    return tuple(sorted({name for found in supported_messages() for name in found.resource_types}))


def _supported(source: MessageMap, trigger: str, mentioned: dict[str, frozenset[str]]) -> SupportedMessage:
    nodes = list(_nodes(source.children))
    types: set[str] = set()
    for node in nodes:
        for step in node.steps:
            types |= mentioned.get(step.map, frozenset())
            if step.is_new or step.begins_if_none:
                types.add(source.resources[step.name].type)
    segments = dict.fromkeys(node.segment for node in nodes)
    return SupportedMessage(trigger, source.structure, tuple(segments), tuple(sorted(types)))


def _nodes(children: dict[str, Node]) -> Iterator[Node]:
    for node in children.values():
        yield node
        yield from _nodes(node.children)


def _mentioned(rules: tuple[Rule, ...]) -> frozenset[str]:
    found = {rule.refer for rule in rules if rule.refer}
    for rule in rules:
        found |= _mentioned(rule.element)
    return frozenset(found)
