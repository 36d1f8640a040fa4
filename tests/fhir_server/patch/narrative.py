"""Resources as they compare when the layout of narratives does not count."""

import re
from typing import Any

from hie.core.fhir.json import Json


def without_layout(value: Json) -> Any:
    """Return `value` with the white space of every `div` taken out."""
    if isinstance(value, dict):
        return {
            name: re.sub(r"\s+", "", inner)
            if name == "div" and isinstance(inner, str)
            else without_layout(inner)
            for name, inner in value.items()
        }
    return [without_layout(inner) for inner in value] if isinstance(value, list) else value
