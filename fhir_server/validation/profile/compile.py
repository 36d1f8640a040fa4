"""Compiles the tree of a profile to rules, leaving out what the base definitions ask already.

The structural validator holds every resource to the shape and the required bindings of R4, and
`fhir_server.validation.invariants` to its invariants; a profile repeats all of these in its snapshot.
Only what differs becomes a rule. https://hl7.org/fhir/R4/profiling.html
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from fhir_server.definitions.bindings import Strength, bindings
from fhir_server.definitions.invariants import Invariant
from fhir_server.definitions.value_sets import value_set
from fhir_server.validation.invariants import invariants_at
from fhir_server.validation.profile import checks
from fhir_server.validation.profile.checks import AllowedType
from fhir_server.validation.profile.element import ElementNode, type_of_canonical
from fhir_server.validation.profile.item import Item
from fhir_server.validation.profile.rule import Check, Rule
from fhir_server.validation.profile.slices import slicing
from hie.core.fhir.json import JsonObject
from hie.core.fhir.structure import Element, elements_of

if TYPE_CHECKING:  # a run is made of rules
    from fhir_server.validation.profile.run import Run

_MAX_VALUE_SET: Final = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
_SYSTEM_TYPE: Final = "http://hl7.org/fhirpath/System."
# Asked for by an invariant on each element that has it (definitions/invariants.json).
_QUANTITY_PROFILES: Final = frozenset(
    {
        "http://hl7.org/fhir/StructureDefinition/SimpleQuantity",
        "http://hl7.org/fhir/StructureDefinition/MoneyQuantity",
    }
)
_STRENGTHS: Final = ("required", "extensible", "preferred")

TreeOf = Callable[[str], ElementNode | None]
"""Returns the tree of the profile at a canonical URL, None if it is not known."""


class Compiler:
    """Compiles one profile; rules of elements that others refer to (contentReference) are shared."""

    def __init__(self, tree: ElementNode, type_name: str, tree_of: TreeOf) -> None:
        self._tree = tree
        self._type = type_name
        self.tree_of = tree_of
        self._shared: dict[str, Rule] = {}

    def compile(self) -> Rule:
        """Return the rule of the profile's root."""
        return self.rule(self._tree, "", (self._type,), None, self._type)

    def rule(
        self,
        node: ElementNode,
        name: str,
        contents: tuple[str, ...],
        base: Element | None,
        label: str,
        owner: str = "",
        slice_name: str | None = None,
    ) -> Rule:
        """Return the rule of `node`, the element `name` of the structure at `owner`.

        `contents` are the structures that its own elements may be defined at, one for each type.
        `base` is what R4 says of the element; a slice is compared with nothing.
        """
        definition = node.definition
        least = int(definition.get("min") or 0)
        most = definition.get("max")
        rule = Rule(name, label, slice_name)
        if base is None or slice_name is not None:
            rule.min = least if name else 0
            rule.max = int(most) if name and most not in (None, "*") else None
        else:
            rule.min = least if least > base.min else 0
            is_less = most not in (None, "*") and (base.is_list or most == "0")
            rule.max = int(cast("str", most)) if is_less else None
        rule.checks = tuple(self._checks(node, contents, base, f"{owner}.{name}" if owner else self._type))
        rule.children = tuple(self._children(node, contents, label))
        if node.slices:
            rule.slicing = slicing(self, node, name, contents, base, label, owner)
        return rule

    def _children(self, node: ElementNode, contents: tuple[str, ...], label: str) -> list[Rule]:
        found = []
        for name, child in node.children.items():
            owner, base = self.base_of(contents, name)
            own = self.contents_of(child, owner, name)
            rule = self.rule(child, name, own, base, f"{label}.{name}", owner)
            if not rule.is_trivial:
                found.append(rule)
        return found

    @staticmethod
    def base_of(contents: tuple[str, ...], name: str) -> tuple[str, Element | None]:
        """Return the structure among `contents` that has the element `name`, and what it says of it."""
        for content in contents:
            for element, _, _ in elements_of(content).values():
                if element.name == name:
                    return content, element
        return contents[0] if contents else "", None

    @staticmethod
    def contents_of(node: ElementNode, owner: str, name: str) -> tuple[str, ...]:
        """Return the structures that the elements of `name`, an element of `owner`, may be defined at.

        Only those of the types that `node` allows, if it says so.
        """
        codes = {declared.get("code") for declared in node.types}
        found = [
            (type_name, content)
            for element, type_name, content in elements_of(owner).values()
            if element.name == name
        ]
        kept = [content for type_name, content in found if type_name in codes]
        # a profile on an entry's resource names the resource type, the element says Resource
        named = [str(code) for code in codes if code and elements_of(str(code))]
        return tuple(kept or named or [content for _, content in found])

    def _checks(
        self, node: ElementNode, contents: tuple[str, ...], base: Element | None, path: str
    ) -> list[Check]:
        definition = node.definition
        found: list[Check] = []
        for stem, make in (
            ("fixed", checks.fixed),
            ("pattern", checks.pattern),
            ("minValue", checks.least),
            ("maxValue", checks.most),
        ):
            given = node.value(stem)
            if given is not None:
                found.append(make(given[1]))
        if "maxLength" in definition:
            found.append(checks.max_length(int(definition["maxLength"])))
        if base is not None:
            found += self._type_checks(node, base)
        bound = _binding(definition, path)
        if bound is not None:
            found.append(bound)
        own = _invariants(definition, path, contents)
        if own:
            found.append(checks.invariants(own))
        if "contentReference" in definition:
            found.append(self._same_as(definition["contentReference"]))
        return found

    def _type_checks(self, node: ElementNode, base: Element) -> list[Check]:
        allowed = [_allowed(declared) for declared in node.types]
        if not allowed or any(each.code.startswith(_SYSTEM_TYPE) for each in allowed):
            return []
        found: list[Check] = []
        if set(base.types) - {each.code for each in allowed} or any(each.profiles for each in allowed):
            found.append(checks.types(allowed))
        for each in allowed:
            if each.code != "Reference" or not (each.targets or each.aggregation):
                continue
            types_of = {url: type_of_canonical(url) for url in each.targets}
            if set(types_of.values()) != set(base.targets) or each.aggregation:
                found.append(checks.reference(each, types_of))
        return found

    def _same_as(self, reference: str) -> Check:
        """Return the check that an element is as the one that `reference` names ("#Questionnaire.item")."""
        path = reference.rpartition("#")[2]

        def check(run: "Run", item: Item) -> None:
            rule = self._shared.get(path)
            if rule is None:
                rule = self._shared[path] = self._rule_at(path)
            for child in rule.children:
                child.check_all(run, item, item.children(child.name))

        return check

    def _rule_at(self, path: str) -> Rule:
        node = self._tree
        contents: tuple[str, ...] = (self._type,)
        for name in path.split(".")[1:]:
            owner, _ = self.base_of(contents, name)
            child = node.children.get(name)
            if child is None:
                return Rule(name, path)
            node, contents = child, self.contents_of(child, owner, name)
        return self.rule(node, "", contents, None, path)


def _allowed(declared: JsonObject) -> AllowedType:
    code = str(declared.get("code", ""))
    own = f"http://hl7.org/fhir/StructureDefinition/{code}"
    profiles = tuple(
        url
        for url in declared.get("profile", ())
        if url.partition("|")[0] != own and url.partition("|")[0] not in _QUANTITY_PROFILES
    )
    return AllowedType(
        code,
        profiles if len(profiles) == len(declared.get("profile", ())) else (),
        tuple(declared.get("targetProfile", ())),
        tuple(declared.get("aggregation", ())),
    )


def _binding(definition: JsonObject, path: str) -> Check | None:
    bound = definition.get("binding", {})
    strength, url = bound.get("strength"), bound.get("valueSet")
    if strength not in _STRENGTHS or not url:
        return None
    base = bindings().get(path)
    is_same = base is not None and base.strength == strength and base.value_set == url.partition("|")[0]
    listed = value_set(url)
    if is_same and (strength != "required" or (listed is not None and not listed.is_open)):
        return None
    largest = next(
        (
            each.get("valueCanonical")
            for each in bound.get("extension", ())
            if each.get("url") == _MAX_VALUE_SET
        ),
        None,
    )
    return checks.binding(cast("Strength", strength), url, largest)


def _invariants(definition: JsonObject, path: str, contents: tuple[str, ...]) -> list[Invariant]:
    of_base = {"ele-1", "ext-1"}
    for content in contents or ("",):
        of_base |= {invariant.key for invariant in invariants_at(path, content)}
    return [
        Invariant(
            constraint.get("key", ""),
            constraint.get("severity", "error"),
            constraint["expression"],
            constraint.get("human", ""),
        )
        for constraint in definition.get("constraint", ())
        if constraint.get("key") not in of_base and "expression" in constraint
    ]
