"""The rules of masking as data: which role sees what, how much of it, and where it stands.

Reads `masking.yaml`; masks nothing itself (`hie.privacy.mask`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

import yaml

from hie.core.access import Role
from hie.core.fhir.json import Json, JsonObject
from hie.privacy.patterns import Kept, is_resident_id

Kind = Literal["name", "contact", "address", "identity"]
KINDS: Final[frozenset[Kind]] = frozenset({"name", "contact", "address", "identity"})

_FILE: Final = Path(__file__).with_name("masking.yaml")


@dataclass(frozen=True, slots=True)
class Identities:
    """Which Identifiers name a person everywhere: by system, by coding of the type, or by its form."""

    systems: frozenset[str]
    types: frozenset[tuple[str, str]]
    beginnings: tuple[tuple[str, str], ...]

    def has_system(self, system: str) -> bool:
        """Say whether Identifiers of `system` are."""
        return system in self.systems

    def has(self, identifier: JsonObject) -> bool:
        """Say whether `identifier` is."""
        if identifier.get("system") in self.systems:
            return True
        kind = identifier.get("type")
        codings = kind.get("coding") if isinstance(kind, dict) else None
        for coding in codings if isinstance(codings, list) else ():
            pair = (coding.get("system"), coding.get("code")) if isinstance(coding, dict) else None
            if pair in self.types or (pair and any(_begins(pair, each) for each in self.beginnings)):
                return True
        value = identifier.get("value")
        return isinstance(value, str) and is_resident_id(value)


@dataclass(frozen=True, slots=True)
class MaskingRules:
    """What `masking.yaml` says; `roles` are the kinds masked by role, `strings` paths by kind."""

    roles: Mapping[Role, frozenset[Kind]]
    identity: Kept
    phone: Kept
    identities: Identities
    public: frozenset[str]
    named: frozenset[str]
    strings: Mapping[str, Kind]
    removed: frozenset[str]


@cache
def load_rules() -> MaskingRules:
    """Return the rules of this exchange."""
    return read_rules(yaml.safe_load(_FILE.read_text(encoding="utf-8")))


def read_rules(found: Json) -> MaskingRules:
    """Return the rules that a file holds; raises ValueError for a role or a kind that there is not."""
    identifiers = found["identifiers"]
    return MaskingRules(
        roles={Role(name): frozenset(map(_kind, kinds)) for name, kinds in found["roles"].items()},
        identity=Kept(**found["kept"]["identity"]),
        phone=Kept(**found["kept"]["phone"]),
        identities=Identities(
            frozenset(identifiers["systems"]),
            frozenset((system, code) for system, codes in identifiers["types"].items() for code in codes),
            tuple((system, each) for system in identifiers["types"] for each in identifiers["beginnings"]),
        ),
        public=frozenset(found["public"]),
        named=frozenset(found["named"]),
        strings={path: _kind(kind) for kind, paths in found["strings"].items() for path in paths},
        removed=frozenset(found["removed"]),
    )


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise ValueError(f"{name} is no kind of element that is masked")
    return name


def _begins(coding: tuple[Json, Json], beginning: tuple[str, str]) -> bool:
    system, code = coding
    return system == beginning[0] and isinstance(code, str) and code.startswith(beginning[1])
