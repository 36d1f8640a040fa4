"""Where an element lies in a resource: paths of map files, and writing a value there.

A path is a chain of FHIR element names; `[]` after a name says that the element repeats and a value is
added to its list: `hospitalization.admitSource`, `identifier[]`, `_birthDate.extension[]`. A list may stand
only at the end: which element of a list a rule means cannot be said by a path; a map says it by building
the element whole (`element:`). `$this` is the resource or element itself: the value's parts are laid into
it.
"""

import re
from collections.abc import Callable
from functools import cache

from hie.core.errors import ConfigurationError
from hie.core.fhir.json import Json, JsonObject

Store = Callable[[JsonObject, Json], None]

_PATH = re.compile(r"_?[a-z][A-Za-z0-9]*(?:\._?[a-z][A-Za-z0-9]*)*(?:\[\])?")


def is_list(path: str) -> bool:
    """Whether values are added to the element rather than set."""
    return path.endswith("[]")


@cache
def store_at(path: str) -> Store:
    """Return the function that writes a value at `path`; a list is added to a repeating element item by item.

    Raises ConfigurationError when `path` is not a path.
    """
    if path == "$this":
        return _lay
    if not _PATH.fullmatch(path):
        raise ConfigurationError(f"`{path}` is not an element path")
    names = path.removesuffix("[]").split(".")
    if is_list(path):
        return _appending(names)
    return _setting(names)


def _lay(target: JsonObject, value: Json) -> None:
    for name, part in value.items():
        if isinstance(part, list):
            target.setdefault(name, []).extend(part)
        else:
            target[name] = part


def _setting(names: list[str]) -> Store:
    *parents, last = names
    if not parents:

        def set_here(target: JsonObject, value: Json) -> None:
            target[last] = value

        return set_here
    if len(parents) == 1:
        (parent,) = parents

        def set_in_parent(target: JsonObject, value: Json) -> None:
            if parent in target:
                target[parent][last] = value
            else:
                target[parent] = {last: value}

        return set_in_parent

    def set_below(target: JsonObject, value: Json) -> None:
        for name in parents:
            target = target.setdefault(name, {})
        target[last] = value

    return set_below


def _appending(names: list[str]) -> Store:
    *parents, last = names
    if not parents:

        def append_here(target: JsonObject, value: Json) -> None:
            if isinstance(value, list):
                target.setdefault(last, []).extend(value)
            elif last in target:
                target[last].append(value)
            else:
                target[last] = [value]

        return append_here

    def append(target: JsonObject, value: Json) -> None:
        for name in parents:
            target = target.setdefault(name, {})
        if isinstance(value, list):
            target.setdefault(last, []).extend(value)
        elif last in target:
            target[last].append(value)
        else:
            target[last] = [value]

    return append
