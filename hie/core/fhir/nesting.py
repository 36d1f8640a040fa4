"""How deep JSON may be nested: a limit for what comes from outside, before anything walks it."""

from typing import Final

from hie.core.errors import NestedTooDeeplyError
from hie.core.fhir.json import Json

_CONTAINERS: Final = (dict, list)


def check_nesting(value: Json, text: bytes, levels: int) -> None:
    """Raise NestedTooDeeplyError if `value`, which JSON `text` is, has more than `levels` of nesting."""
    # So few brackets cannot be nested too deeply: most texts end here.
    if text.count(b"{") + text.count(b"[") > levels and is_deeper(value, levels):
        raise NestedTooDeeplyError(f"The body is nested more than {levels} levels deep")


def is_deeper(value: Json, levels: int) -> bool:
    """Say whether `value` has more than `levels` of nesting."""
    current = [value] if type(value) in _CONTAINERS else []
    depth = 0
    while current:
        depth += 1
        if depth > levels:
            return True
        current = [
            inner
            for outer in current
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _CONTAINERS
        ]
    return False
