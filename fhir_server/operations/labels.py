"""Sets of profiles, tags and security labels: what $meta-add and $meta-delete make of a meta.

A tag or a security label is known by its system and code, version and display do not count; a
profile by its whole URL (https://hl7.org/fhir/R4/resource-operation-meta-add.html). Pure.
"""

from collections.abc import Callable
from typing import Final

from hie.core.fhir.json import Json, JsonObject


def _coding(value: Json) -> object:
    return (value.get("system"), value.get("code"))


def _url(value: Json) -> object:
    return value


_KEYS: Final[dict[str, Callable[[Json], object]]] = {"profile": _url, "security": _coding, "tag": _coding}


def added(meta: JsonObject, given: JsonObject) -> JsonObject:
    """Return `meta` with the labels of `given` that it does not have, each once, behind its own.

    >>> added({"profile": ["http://a.example"]}, {"profile": ["http://a.example", "http://b.example"]})
    {'profile': ['http://a.example', 'http://b.example']}
    """
    made = dict(meta)
    for name, key in _KEYS.items():
        labels = list(made.get(name, ()))
        known = {key(each) for each in labels}
        for label in given.get(name, ()):
            if key(label) not in known:
                known.add(key(label))
                labels.append(label)
        if labels:
            made[name] = labels
    return made


def removed(meta: JsonObject, given: JsonObject) -> JsonObject:
    """Return `meta` without the labels of `given`; one that it does not have is no error.

    >>> removed({"tag": [{"code": "x", "display": "X"}]}, {"tag": [{"code": "x"}]})
    {}
    """
    made = dict(meta)
    for name, key in _KEYS.items():
        unwanted = {key(each) for each in given.get(name, ())}
        labels = [each for each in made.get(name, ()) if key(each) not in unwanted]
        if labels:
            made[name] = labels
        else:
            made.pop(name, None)
    return made
