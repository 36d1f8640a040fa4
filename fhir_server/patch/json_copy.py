"""Copies of JSON, made once so that a patch never touches what it was given."""

from hie.core.fhir.json import Json


def copied(value: Json) -> Json:
    """Return `value` with objects and arrays of its own; text and numbers are shared."""
    if value.__class__ is dict:
        return {name: copied(inner) for name, inner in value.items()}
    if value.__class__ is list:
        return [copied(inner) for inner in value]
    return value


def size_of(value: Json) -> int:
    """Return how many values `value` holds, itself included."""
    if value.__class__ is dict:
        return 1 + sum(size_of(inner) for inner in value.values())
    if value.__class__ is list:
        return 1 + sum(size_of(inner) for inner in value)
    return 1
