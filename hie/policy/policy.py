"""The rules of the access policy as tables, read from `policy.yaml`; nothing is decided here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal, cast, get_args

import yaml

from hie.core.access import Role
from hie.core.errors import ConfigurationError
from hie.core.fhir.json import Json

Standing = Literal[
    "self",
    "self-of-consent",
    "ward",
    "ward-of-consent",
    "late-ward",
    "practitioner",
    "organization",
    "break-glass",
    "anybody",
]
"""How somebody stands to the patient of a resource."""

ANY_TYPE: Final = "*"
SYSTEM_OF_ORGANIZATION: Final = "system-of-organization"
SYSTEM_OF_EXCHANGE: Final = "system-of-exchange"
_ROLES: Final = frozenset({*(role.value for role in Role), SYSTEM_OF_ORGANIZATION, SYSTEM_OF_EXCHANGE})


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `roles` of which one is held, `types` may hold ANY_TYPE, `may` letters of "crud"."""

    roles: frozenset[str]
    types: frozenset[str]
    may: str
    standings: tuple[Standing, ...]
    purposes: frozenset[str] = frozenset()
    is_cleared: bool = False
    asks_consent: bool = False

    def permits(self, roles: Iterable[str], purpose: str, letter: str, resource_type: str) -> bool:
        """Return whether the rule lets do `letter` with some resources of `resource_type`."""
        return (
            letter in self.may
            and (resource_type in self.types or ANY_TYPE in self.types)
            and not self.roles.isdisjoint(roles)
            and (not self.purposes or purpose in self.purposes)
        )


@dataclass(frozen=True, slots=True)
class Relation:
    """A kind of treatment relation: resources of `type` in force by `where`, about a Patient by `patient`.

    `practitioner` and `organization` are the search parameters that name who treats, "" where none does;
    with `date`, it is not older than `days`.
    """

    type: str
    patient: str
    practitioner: str
    organization: str
    where: tuple[tuple[str, str], ...]
    date: str
    days: int


@dataclass(frozen=True, slots=True)
class Policy:
    """All tables. `subjects` is type -> search parameter, `classes` name -> system and code of labels."""

    rules: tuple[Rule, ...]
    operations: Mapping[str, frozenset[str]]
    subjects: Mapping[str, str]
    relations: tuple[Relation, ...]
    general_practitioner: str
    classes: Mapping[str, frozenset[tuple[str, str]]]
    majority: int
    own_consent: int

    @property
    def sensitive(self) -> frozenset[tuple[str, str]]:
        """The labels of all sensitive classes."""
        return frozenset().union(*self.classes.values())


@cache
def load_policy() -> Policy:
    """Return the policy that is part of the server; raises ConfigurationError for bad data."""
    text = files("hie.policy").joinpath("policy.yaml").read_text(encoding="utf-8")
    return read_policy(yaml.safe_load(text))


def read_policy(raw: Json) -> Policy:
    """Return the tables of `raw`, the content of a policy file; raises ConfigurationError for bad data."""
    groups: Mapping[str, Sequence[str]] = raw["groups"]
    return Policy(
        tuple(_rule(each, groups) for each in raw["rules"]),
        {name: _roles(roles, name) for name, roles in raw["operations"].items()},
        dict(raw["subjects"]),
        tuple(
            Relation(
                each["type"],
                each["patient"],
                each.get("practitioner", ""),
                each.get("organization", ""),
                tuple(sorted(each.get("where", {}).items())),
                each.get("date", ""),
                int(each.get("days", 0)),
            )
            for each in raw["relations"]
        ),
        raw["general_practitioner"],
        {
            name: frozenset((system, code) for system, codes in labels.items() for code in codes)
            for name, labels in raw["sensitive"].items()
        },
        int(raw["ages"]["majority"]),
        int(raw["ages"]["own_consent"]),
    )


def _rule(raw: Json, groups: Mapping[str, Sequence[str]]) -> Rule:
    types = frozenset(found for name in raw["types"] for found in groups.get(name, (name,)))
    unknown = [each for each in raw["as"] if each not in get_args(Standing)]
    if unknown or set(raw["may"]) - set("crud"):
        raise ConfigurationError(f"policy.yaml: a rule of {raw['roles']} says {unknown or raw['may']}")
    return Rule(
        _roles(raw["roles"], "rules"),
        types,
        raw["may"],
        tuple(cast("Sequence[Standing]", raw["as"])),
        frozenset(raw.get("purposes", ())),
        bool(raw.get("sensitive", False)),
        bool(raw.get("consent", False)),
    )


def _roles(names: Sequence[str], where: str) -> frozenset[str]:
    unknown = set(names) - _ROLES
    if unknown:
        raise ConfigurationError(f"policy.yaml: {where}: {min(unknown)} is no role")
    return frozenset(names)
