"""Required bindings: an element's code is one of its value set (https://hl7.org/fhir/R4/terminologies.html#required).

A rule here stands before the rule of the element's type. A code that is in the value set needs no
second look, so a bound code is checked faster than a free one. A CodeableConcept must have a Coding
of the value set; neither text nor an extension stands for it, unlike the value of a primitive
(https://hl7.org/fhir/R4/extensibility.html#Special-Case). fhir.resources does not look at codes.
"""

from typing import Final

from fhir_server.definitions.value_sets import ValueSet
from fhir_server.validation.finding import Finding, Findings
from fhir_server.validation.primitives import Rule
from hie.core.fhir.json import Json, JsonObject

CODED_TYPES: Final = frozenset({"code", "string", "uri", "Coding", "CodeableConcept", "Quantity"})
"""The types that a binding may stand on (https://hl7.org/fhir/R4/elementdefinition.html, eld-11)."""

_LISTED: Final = 12
_CUT: Final = 64


def bound(type_name: str, rule: Rule, value_set: ValueSet) -> Rule:
    """Return the rule of an element of `type_name`, checked by `rule`, with a required binding."""
    if type_name == "CodeableConcept":
        return _concept(rule, value_set)
    if type_name in ("Coding", "Quantity"):
        return _coding(rule, value_set)
    return _code(rule, value_set)


def _code(rule: Rule, value_set: ValueSet) -> Rule:
    codes = frozenset[str]().union(*value_set.codes.values())

    def check(value: Json, depth: int) -> Findings | None:
        if type(value) is str and value in codes:
            return None
        return rule(value, depth) or [_foreign(f"`{_cut(value)}`", value_set)]

    return check


def _coding(rule: Rule, value_set: ValueSet) -> Rule:
    def check(value: Json, depth: int) -> Findings | None:
        found = rule(value, depth)
        if found is not None or _is_member(value, value_set):
            return found
        return [_foreign(_named(value), value_set)]

    return check


def _concept(rule: Rule, value_set: ValueSet) -> Rule:
    def check(value: Json, depth: int) -> Findings | None:
        found = rule(value, depth)
        if found is not None:
            return found
        codings = value.get("coding", ())
        if any(_is_member(coding, value_set) for coding in codings):
            return None
        return [_foreign(" and ".join(map(_named, codings[:3])) or "A concept without coding", value_set)]

    return check


def _is_member(coding: JsonObject, value_set: ValueSet) -> bool:
    codes = value_set.codes.get(coding.get("system", ""))
    return codes is not None and coding.get("code") in codes


def _named(coding: JsonObject) -> str:
    return f"`{_cut(coding.get('system', ''))}|{_cut(coding.get('code', ''))}`"


def _foreign(what: str, value_set: ValueSet) -> Finding:
    codes = sorted(code for listed in value_set.codes.values() for code in listed)
    listed = f": {', '.join(codes)}" if len(codes) <= _LISTED else ""
    return Finding("code-invalid", f"{what} is not in the value set {value_set.url}{listed}")


def _cut(text: str) -> str:
    return text if len(text) <= _CUT else f"{text[:_CUT]}..."
