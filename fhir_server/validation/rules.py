"""Compiles type definitions to rules: closures that walk plain JSON.

One rule for each type, made when the type is first met and kept. A rule returns None for a valid
element without having built a path, a list or a string: that is the hot path of every write. What
is checked is the JSON form (https://hl7.org/fhir/R4/json.html): known elements only, their types,
one or many, required ones, at most one form of a choice, nothing null or empty, ids and extensions
of primitives beside them, a resourceType in every resource and nowhere else; and the codes of
required bindings.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final

from fhir_server.definitions.value_sets import ValueSet
from fhir_server.validation import primitives
from fhir_server.validation.choices import Choice, check_choice, has_extension
from fhir_server.validation.coded import CODED_TYPES, bound
from fhir_server.validation.definition import (
    ANY_RESOURCE,
    PRIMITIVE_EXTENSION,
    PRIMITIVE_TYPES,
    Element,
    TypeDefinition,
)
from fhir_server.validation.finding import MAX_FINDINGS, Finding, Findings, gather
from fhir_server.validation.primitives import Rule, json_name
from hie.core.fhir.json import Json, JsonObject

MAX_DEPTH: Final = 100
"""Elements may be nested so deep; fhir.resources itself gives up somewhere past 100."""

RESOURCE_TYPE: Final = "resourceType"

Bound = Callable[[str, str], ValueSet | None]
"""Returns the value set that an element, by type and name, is bound to with strength required."""


class RuleSet:
    """The compiled rules of all types, filled as types are met.

    Safe to share between threads: two that meet a type at once compile it twice, to the same end.
    """

    def __init__(
        self,
        load: Callable[[str], TypeDefinition | None],
        resource_types: Collection[str],
        required_codes: Bound | None = None,
    ) -> None:
        """Take the source of definitions, the resource types that may occur, and the required bindings."""
        self._load = load
        self._required_codes = required_codes
        self._resource_types = frozenset(resource_types)
        self._rules: dict[str, Rule] = dict(primitives.RULES)
        self._rules[ANY_RESOURCE] = self._any_resource()

    def rule(self, type_name: str) -> Rule:
        """Return the rule of `type_name`; raises LookupError when nothing defines it."""
        rule = self._rules.get(type_name)
        if rule is None:
            rule = self._rules[type_name] = self._object(self._definition(type_name))
        return rule

    def prepare(self, type_names: Iterable[str]) -> None:
        """Compile `type_names` and every type that their elements may have; raises LookupError."""
        waiting = list(type_names)
        while waiting:
            name = waiting.pop()
            if name not in self._rules:
                definition = self._definition(name)
                self._rules[name] = self._object(definition)
                waiting.extend(element.type for element in definition.elements)

    def _definition(self, type_name: str) -> TypeDefinition:
        definition = self._load(type_name)
        if definition is None:
            raise LookupError(f"No definition of the type {type_name}")
        return definition

    def _any_resource(self) -> Rule:
        types = self._resource_types
        compiled = self._rules

        def rule(value: Json, depth: int) -> Findings | None:
            if type(value) is not dict:
                return [Finding("structure", f"Expected a resource, found {json_name(value)}")]
            name = value.get(RESOURCE_TYPE)
            if type(name) is not str or name not in types:
                return [_no_type(value)]
            return (compiled.get(name) or self.rule(name))(value, depth)

        return rule

    def _object(self, definition: TypeDefinition) -> Rule:
        plan: dict[str, Rule] = {}
        steps: dict[str, str] = {}
        for element in definition.elements:
            plan[element.name] = self._property(
                plan,
                element.name,
                element.type,
                is_list=element.is_list,
                codes=self._codes(definition, element),
            )
            steps[element.name] = f".{element.segment}"
            if element.has_sibling:
                sibling = f"_{element.name}"
                plan[sibling] = self._property(plan, sibling, PRIMITIVE_EXTENSION, is_list=element.is_list)
                steps[sibling] = f".{element.segment}"
        if definition.is_resource:
            plan[RESOURCE_TYPE] = _resource_type
        required = tuple(e for e in definition.elements if e.is_required and e.choice is None)
        choices = tuple(Choice.of(stem, forms) for stem, forms in definition.choices().items())
        return _object_rule(plan, steps, required, choices)

    def _codes(self, definition: TypeDefinition, element: Element) -> ValueSet | None:
        if self._required_codes is None or element.type not in CODED_TYPES:
            return None
        return self._required_codes(definition.name, element.choice or element.name)

    def _property(
        self,
        plan: dict[str, Rule],
        name: str,
        type_name: str,
        *,
        is_list: bool,
        codes: ValueSet | None = None,
    ) -> Rule:
        """Return the rule of one property, compiled when first needed unless it is primitive."""
        if type_name in PRIMITIVE_TYPES:
            rule = primitives.RULES[type_name]
            rule = rule if codes is None else bound(type_name, rule, codes)
            return _array_with_gaps(rule) if is_list else rule

        def compile_first(value: Json, depth: int) -> Findings | None:
            one = self.rule(type_name)
            one = one if codes is None else bound(type_name, one, codes)
            if is_list:
                plan[name] = _array_with_gaps(one) if type_name == PRIMITIVE_EXTENSION else _array(one)
            else:
                plan[name] = one
            return plan[name](value, depth)

        return compile_first


def _object_rule(
    plan: dict[str, Rule], steps: dict[str, str], required: tuple[Element, ...], choices: tuple[Choice, ...]
) -> Rule:
    rule_of = plan.get
    required_names = tuple(element.name for element in required)
    counted = tuple(
        (choice.names.intersection, choice.values if choice.is_required else None, choice)
        for choice in choices
    )

    def rule(value: Json, depth: int) -> Findings | None:
        if type(value) is not dict or not value or depth > MAX_DEPTH:
            return _no_object(value, depth)
        findings: Findings | None = None
        deeper = depth + 1
        for name, item in value.items():
            element_rule = rule_of(name)
            if element_rule is None:
                findings = gather(findings, [_unknown(name)], "")
                continue
            found = element_rule(item, deeper)
            if found is not None:
                findings = _gather_element(findings, found, value, name, steps[name])
        for name in required_names:
            if name not in value:
                findings = _missing(findings, value, required)
                break
        for among, required_values, choice in counted:
            if len(among(value)) > 1 or (required_values and required_values.isdisjoint(value)):
                findings = check_choice(findings, value, choice)
        return findings

    return rule


def _array(one: Rule) -> Rule:
    """Return the rule of an element that repeats and is not primitive."""

    def rule(value: Json, depth: int) -> Findings | None:
        if type(value) is not list or not value:
            return _no_array(value)
        findings: Findings | None = None
        for index, item in enumerate(value):
            found = one(item, depth)
            if found is not None:
                findings = gather(findings, found, f"[{index}]")
                if len(findings) >= MAX_FINDINGS:
                    break
        return findings

    return rule


def _array_with_gaps(one: Rule) -> Rule:
    """Return the rule of an array of primitives, or of its ``_`` twin, which may hold nulls.

    Each null becomes a gap for the parent to judge (https://hl7.org/fhir/R4/json.html#primitive).
    """
    without_gaps = _array(one)

    def rule(value: Json, depth: int) -> Findings | None:
        if type(value) is not list or None not in value:
            return without_gaps(value, depth)
        findings = [Finding("structure", _GAP, gaps=tuple(i for i, item in enumerate(value) if item is None))]
        for index, item in enumerate(value):
            found = None if item is None else one(item, depth)
            if found is not None:
                findings = gather(findings, found, f"[{index}]")
                if len(findings) >= MAX_FINDINGS:
                    break
        return findings

    return rule


_GAP: Final = "Null, with neither a value nor an extension at this position"


def _gather_element(
    findings: Findings | None, found: Findings, parent: JsonObject, name: str, step: str
) -> Findings | None:
    """Add what is wrong with the element `name`; its nulls only if its twin does not fill or report them."""
    first = found[0]
    if not first.gaps:
        return gather(findings, found, step)
    is_sibling = name.startswith("_")
    twin = parent.get(name[1:] if is_sibling else f"_{name}")
    others = twin if type(twin) is list else []
    open_gaps = [
        Finding(first.code, first.message, f"[{position}]")
        for position in first.gaps
        if position >= len(others) or (others[position] is None and not is_sibling)
    ]
    kept = [*open_gaps, *found[1:]]
    return gather(findings, kept, step) if kept else findings


def _missing(findings: Findings | None, value: JsonObject, required: tuple[Element, ...]) -> Findings | None:
    for element in required:
        if element.name not in value and not (
            element.has_sibling and has_extension(value.get(f"_{element.name}"))
        ):
            finding = Finding("required", f"`{element.name}` is required")
            findings = gather(findings, [finding], f".{element.segment}")
    return findings


def _resource_type(value: Json, _depth: int) -> Findings | None:
    # The value was looked up to find this rule.
    return None if type(value) is str else [Finding("structure", "Expected the name of a resource type")]


def _no_type(value: JsonObject) -> Finding:
    if RESOURCE_TYPE not in value:
        return Finding("required", "`resourceType` is required")
    name = value[RESOURCE_TYPE]
    if not isinstance(name, str):
        return Finding("structure", f"`resourceType` must be a string, found {json_name(name)}")
    return Finding("not-supported", f"`{name[:64]}` is not a resource type of FHIR R4")


def _unknown(name: str) -> Finding:
    shown = name if len(name) <= _NAME_LENGTH else f"{name[:_NAME_LENGTH]}..."
    return Finding("structure", f"Unknown element `{shown}`", f".{shown}")


_NAME_LENGTH: Final = 64


def _no_object(value: Json, depth: int) -> Findings:
    if type(value) is not dict:
        return [Finding("structure", f"Expected an object, found {json_name(value)}")]
    if depth > MAX_DEPTH:
        return [Finding("too-costly", f"Nested deeper than {MAX_DEPTH} elements")]
    return [Finding("structure", "An object must not be empty")]


def _no_array(value: Json) -> Findings:
    if type(value) is not list:
        return [Finding("structure", f"Expected an array, found {json_name(value)}")]
    return [Finding("structure", "An array must not be empty")]
