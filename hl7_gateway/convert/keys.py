"""The business identifier of each kind of resource: by it a message that comes again finds what it made.

Every identifier lies in a namespace of the sender: two hospitals never share a key by accident, and a
person's national ID or insurance number never joins records across senders (joining people is linkage's
work). Where v2 gives a resource no identifier of its own, one is derived from what does not change between
two messages about the same thing: the patient's key with a code, a set id or a time. Such an identifier's
system is `{identifier_base}/{facility}/{ResourceType}`.

https://hl7.org/fhir/R4/http.html#cond-update
"""

from collections.abc import Callable

from hie.core.errors import ConfigurationError
from hl7_gateway.convert.naming import IDENTIFIERS, Key, name_uuid
from hl7_gateway.convert.run import Instance, Run

KeyFunction = Callable[[Instance, Run], Key | None]

_keys: dict[str, KeyFunction] = {}


def named_key(function: KeyFunction) -> KeyFunction:
    """Register a key function under its name; it returns None for a resource that has no key."""
    _keys[function.__name__] = function
    return function


def key_function(name: str) -> KeyFunction:
    """Return the key function called `name`; raises ConfigurationError when there is none."""
    try:
        return _keys[name]
    except KeyError:
        raise ConfigurationError(f"There is no key function `{name}`") from None


def derived(instance: Instance, run: Run, *parts: str) -> Key:
    """Return a key in the sender's namespace for this resource type, made of `parts`.

    The value is a name-based UUID: parts may hold names or numbers of people, which an identifier must not
    show. Namespace and parts are its name, so that it also serves as the resource's `urn:uuid:`.
    """
    kind = instance.use.type
    system = run.namespaces.get(kind)
    if system is None:
        system = run.namespaces[kind] = run.sender.system(kind)
    instance.is_derived = True
    return system, name_uuid(IDENTIFIERS, "\x1f".join((system, *parts)))


def key_text(key: Key | None) -> str:
    """Return a key as one part of another."""
    return "" if key is None else f"{key[0]}|{key[1]}"


def linked(instance: Instance, name: str) -> str:
    """Return the key of the resource `name` that this one refers to, "" without one."""
    other = instance.links.get(name)
    return "" if other is None else other.key_text


def given(instance: Instance) -> Key | None:
    """Return the resource's own first identifier that has a system."""
    for identifier in instance.resource.get("identifier", ()):
        if "system" in identifier and "value" in identifier:
            return identifier["system"], identifier["value"]
    return None


@named_key
def own_identifier(instance: Instance, run: Run) -> Key:
    """The identifier that the segment gives, else one derived from the patient and the whole segment."""
    return given(instance) or derived(instance, run, linked(instance, "patient"), instance.segment.text)


@named_key
def message(instance: Instance, run: Run) -> Key:
    """The message itself: MSH-10 in the sender's namespace."""
    return run.sender.system(
        "message"
    ), f"{instance.use.name}:{run.message.control_id}:{run.ordinal(instance)}"
