"""The element tables of de-identification as data. Reads `deidentification.yaml`; changes nothing itself."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from hie.core.fhir.json import Json

_FILE: Final = Path(__file__).with_name("deidentification.yaml")


@dataclass(frozen=True, slots=True)
class DeidentificationRules:
    """What `deidentification.yaml` says: what goes and stays, systems, types, and the highest age."""

    removed: frozenset[str]
    kept: frozenset[str]
    systems: tuple[str, ...]
    left_out: frozenset[str]
    oldest: int


@cache
def load_rules() -> DeidentificationRules:
    """Return the rules of this exchange."""
    found: Json = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return DeidentificationRules(
        frozenset(found["removed"]),
        frozenset(found["kept"]),
        tuple(found["systems"]),
        frozenset(found["left_out"]),
        int(found["oldest"]),
    )
