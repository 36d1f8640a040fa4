"""The checks of one value that a profile can ask for, each made once from its ElementDefinition."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from fhir_server.definitions.bindings import Strength
from fhir_server.definitions.invariants import Invariant
from fhir_server.validation.coded import CODED_TYPES
from fhir_server.validation.profile.item import Item
from fhir_server.validation.profile.match import has_pattern, is_fixed
from fhir_server.validation.profile.reference import named_type
from fhir_server.validation.profile.rule import Check
from hie.core.errors import Severity
from hie.core.fhir.json import Json, dumps
from hie.core.fhir.structure import is_subtype

if TYPE_CHECKING:  # a run is made of rules
    from fhir_server.validation.profile.run import Run

_SHOWN: Final = 200
_WEIGHT: Final[dict[str, Severity]] = {
    "required": "error",
    "extensible": "warning",
    "preferred": "information",
}


@dataclass(frozen=True, slots=True)
class AllowedType:
    """One type that a profile allows: with profiles of the type, one of which must hold, if there are any.

    `targets` are the profiles, or base types by their canonical, that a reference may name.
    """

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    aggregation: tuple[str, ...] = ()


def fixed(value: Json) -> Check:
    """Return the check that a value is exactly `value`."""
    shown = _shown(value)

    def check(run: "Run", item: Item) -> None:
        if not is_fixed(item.value, value):
            run.report(item, "error", "value", f"The value must be exactly {shown}")

    return check


def pattern(value: Json) -> Check:
    """Return the check that a value has all of `value`."""
    shown = _shown(value)

    def check(run: "Run", item: Item) -> None:
        if not has_pattern(item.value, value):
            run.report(item, "error", "value", f"The value must have {shown}")

    return check


def types(allowed: Sequence[AllowedType]) -> Check:
    """Return the check that a value is of one of the types, and conforms to one of that type's profiles."""
    names = ", ".join(sorted({each.code for each in allowed}))

    def check(run: "Run", item: Item) -> None:
        own = [each for each in allowed if is_subtype(item.type, each.code)]
        if not own:
            run.report(item, "error", "structure", f"Of type {item.type}; allowed: {names}")
            return
        profiles = [url for each in own for url in each.profiles]
        if any(not each.profiles for each in own) or item.value is None:
            return
        if len(profiles) == 1:
            run.validate(item, profiles[0])
        elif not any(run.conforms(item, url) for url in profiles):
            listed = ", ".join(f"`{url}`" for url in profiles)
            run.report(item, "error", "structure", f"It conforms to none of {listed}")

    return check


def reference(allowed: AllowedType, types_of: dict[str, str | None]) -> Check:
    """Return the check that a Reference names what it may; `types_of` are the resource types of the targets.

    A target that cannot be found is judged by the type that the reference names.
    """
    profiles = [url for url, base in types_of.items() if base is None]
    listed = ", ".join(base or url for url, base in types_of.items())

    def check(run: "Run", item: Item) -> None:
        if not is_subtype(item.type, "Reference") or not isinstance(item.value, dict):
            return
        _check_aggregation(run, item, allowed.aggregation)
        if not allowed.targets:
            return
        target = run.resolve(item)
        name = target.type if target is not None else named_type(item)
        if name is None or any(base is not None and is_subtype(name, base) for base in types_of.values()):
            return
        known = {url: run.profile_of(url) for url in profiles}
        same = [u for u, profile in known.items() if profile is None or is_subtype(name, profile.type)]
        if not same:
            run.report(item, "error", "structure", f"The reference is to {name}; allowed: {listed}")
        elif target is not None and not any(run.conforms(target, url) for url in same):
            ways = ", ".join(f"`{url}`" for url in same)
            run.report(item, "error", "structure", f"The {name} that it refers to does not conform to {ways}")

    return check


def binding(strength: Strength, value_set: str, max_value_set: str | None) -> Check:
    """Return the check that a coded value is in its value set, as strictly as `strength` says.

    https://hl7.org/fhir/R4/terminologies.html#strength. What cannot be told is said, and refuses nothing.
    """
    severity = _WEIGHT[strength]

    def check(run: "Run", item: Item) -> None:
        if item.value is None or not any(is_subtype(item.type, coded) for coded in CODED_TYPES):
            return
        if isinstance(item.value, dict) and _has_no_unit(item):
            return
        if max_value_set is not None and run.terminology.has_concept(max_value_set, item.value) is False:
            run.report(
                item, "error", "code-invalid", f"{_code(item.value)} is not in the value set {max_value_set}"
            )
            return
        is_member = run.terminology.has_concept(value_set, item.value)
        if is_member is False:
            message = f"{_code(item.value)} is not in the value set {value_set} ({strength})"
            run.report(item, severity, "code-invalid", message)
        elif is_member is None and strength == "required":
            run.unknowns += 1
            message = f"Whether {_code(item.value)} is in the value set {value_set} cannot be told here"
            run.report(item, "information", "not-supported", message)

    return check


def invariants(found: Sequence[Invariant]) -> Check:
    """Return the check that every invariant holds."""
    kept = tuple(found)

    def check(run: "Run", item: Item) -> None:
        for invariant in kept:
            run.check_invariant(invariant, item)

    return check


def max_length(length: int) -> Check:
    """Return the check that a string has no more than `length` characters."""

    def check(run: "Run", item: Item) -> None:
        if isinstance(item.value, str) and len(item.value) > length:
            run.report(item, "error", "too-long", f"{len(item.value)} characters, more than {length}")

    return check


def least(value: Json) -> Check:
    """Return the check that a value is not below `value`, where the two can be compared."""
    return _bound(value, is_least=True)


def most(value: Json) -> Check:
    """Return the check that a value is not above `value`, where the two can be compared."""
    return _bound(value, is_least=False)


def _bound(limit: Json, *, is_least: bool) -> Check:
    word = "less" if is_least else "more"

    def check(run: "Run", item: Item) -> None:
        order = _compare(item.value, limit)
        if order is not None and (order < 0 if is_least else order > 0):
            run.report(item, "error", "value", f"The value is {word} than {_shown(limit)}")

    return check


def _compare(value: Json, limit: Json) -> int | None:
    """Return -1, 0 or 1; None for values of different precision, unit or kind, which have no order here."""
    if isinstance(value, dict) and isinstance(limit, dict):  # Quantity
        units = [(each.get("system"), each.get("code", each.get("unit"))) for each in (value, limit)]
        return _compare(value.get("value"), limit.get("value")) if units[0] == units[1] else None
    if isinstance(value, bool) or isinstance(limit, bool):
        return None
    if isinstance(value, int | float | Decimal) and isinstance(limit, int | float | Decimal):
        try:
            difference = Decimal(str(value)) - Decimal(str(limit))
        except InvalidOperation:
            return None
        return (difference > 0) - (difference < 0)
    # Dates and times sort as text at the same precision, in the same zone.
    if isinstance(value, str) and isinstance(limit, str) and len(value) == len(limit):
        return (value > limit) - (value < limit) if value[19:] == limit[19:] else None
    return None


def _has_no_unit(item: Item) -> bool:
    return is_subtype(item.type, "Quantity") and "code" not in item.value


def _check_aggregation(run: "Run", item: Item, allowed: tuple[str, ...]) -> None:
    literal = item.value.get("reference")
    if not allowed or not isinstance(literal, str):
        return
    target = None if literal.startswith("#") else run.resolve(item)
    if literal.startswith("#"):
        kind = "contained"
    elif target is not None and target.parent is not None:
        kind = "bundled"
    else:
        kind = "referenced"
    # what is in the same Bundle is referenced too
    if kind not in allowed and not (kind == "bundled" and "referenced" in allowed):
        run.report(item, "error", "structure", f"The reference is {kind}; allowed: {', '.join(allowed)}")


def _code(value: Json) -> str:
    if isinstance(value, str):
        return f"`{value[:_SHOWN]}`"
    codings = value.get("coding", [value])
    shown = [f"`{each.get('system', '')}|{each['code']}`" for each in codings if "code" in each]
    return " and ".join(shown[:3])[:_SHOWN] or "A concept without a code"


def _shown(value: Json) -> str:
    text = dumps(value).decode()
    return f"`{text if len(text) <= _SHOWN else text[:_SHOWN] + '...'}`"
