"""What pure functions made of values that come again: codes, doctors, wards, organizations.

A hospital has some thousands of each and names several in every message. A function's result depends on the
repetition, the sender and the version alone, so it is kept for a sender and a version; what names or
describes a patient is never kept (it is not in RECURRING). What is kept is shared by all messages: callers
copy the outer dictionary before they add to it and change nothing deeper.
"""

from collections.abc import Callable
from typing import Any, Final

from hl7_gateway.datatypes.context import Context
from hl7_gateway.er7.message import Message, Repetition
from hl7_gateway.sender import Sender

RECURRING: Final = frozenset({"CodeableConcept", "Coding", "Organization"})

# A resource of such a type is the same thing in many messages: what a rule makes for it, it makes again.
RECURRING_RESOURCES: Final = frozenset({"Location", "Organization"})

# Results held for one way of writing before all of them are forgotten (about 1 kB each), and ways of writing.
LIMIT: Final = 2048
MEMORIES: Final = 64

Memory = dict[tuple[int, Repetition | str], Any]
"""What is held: by rule (its number) and text of a field, by function (its identity) and repetition."""


class Memories:
    """The memory of each sender and version."""

    __slots__ = ("_memories",)

    def __init__(self) -> None:
        """Begin with none."""
        self._memories: dict[tuple[Sender, str, str, str, str], Memory] = {}

    def of(self, context: Context, message: Message) -> Memory:
        """Return the memory for messages of a sender and version that are written as `message` is.

        The same text says something else with other delimiters, in another version or character set.
        """
        delimiters = message.delimiters
        # The delimiters are what MSH-1 and MSH-2 say; their own hash takes longer.
        written = delimiters.encoding_characters
        place = (context.sender, context.version, delimiters.field, written, message.charset)
        memory = self._memories.get(place)
        if memory is None:
            if len(self._memories) >= MEMORIES:
                self._memories.clear()
            memory = self._memories[place] = {}
        return memory


def keep(memory: Memory, place: tuple[int, Repetition | str], value: Any) -> None:
    """Hold `value`; when there is too much, all is forgotten first."""
    if len(memory) >= LIMIT:
        memory.clear()
    memory[place] = value


def recall(
    memory: Memory, function: Callable[[Repetition, Context], Any], repetition: Repetition, context: Context
) -> Any:
    """Return what `function` makes of `repetition`, from memory if it is there; raises what it raises.

    `function` must live as long as the engine: its identity is its name in the memory.
    """
    place: tuple[int, Repetition | str] = (id(function), repetition)
    held = memory.get(place)
    if held is None:
        before = len(context.dropped)
        value = function(repetition, context)
        keep(memory, place, (value, tuple(context.dropped[before:])))
        return value
    value, dropped = held
    if dropped:
        context.dropped.extend(dropped)
    return value
