"""What a discriminator compares with: the criteria of a slice, by the kind of its discriminator.

https://hl7.org/fhir/R4/valueset-discriminator-type.html. Kinds value and pattern: fixed[x], pattern[x],
a required binding, or else whatever is asked of the element and below it. Each kind takes the
definitions that a discriminator leads to and returns a test of the values it leads to, None where the
definitions say nothing that could be tested.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fhir_server.validation.profile.discriminator import PathStep, Resolve
from fhir_server.validation.profile.element import ElementNode
from fhir_server.validation.profile.item import Item
from fhir_server.validation.profile.match import has_pattern, is_fixed
from fhir_server.validation.profile.rule import Rule
from hie.core.fhir.structure import is_subtype

if TYPE_CHECKING:  # the compiler compiles slices too
    from fhir_server.validation.profile.compile import Compiler
    from fhir_server.validation.profile.run import Run

Test = Callable[["Run", list[Item]], bool]
"""Says whether the items that a discriminator leads to are those of the slice."""

Place = tuple[ElementNode, tuple[str, ...]]
"""A node, and the structures that its elements may be defined at."""


def _by_type(_compiler: "Compiler", nodes: list[Place], steps: tuple[PathStep, ...]) -> Test | None:
    codes: list[str] = []
    profiles: list[str] = []
    for node, _ in nodes:
        for declared in node.types:
            code = str(declared.get("code", ""))
            if code == "Resource" and declared.get("profile") and steps and isinstance(steps[-1], Resolve):
                profiles += declared["profile"]
            else:
                codes.append(code)
    if not codes and not profiles:
        return None

    def test(run: "Run", items: list[Item]) -> bool:
        known = [profile.type for url in profiles if (profile := run.profile_of(url)) is not None]
        wanted = [*codes, *known]
        return any(is_subtype(item.type, code) for item in items for code in wanted)

    return test


def _by_profile(_compiler: "Compiler", nodes: list[Place], _steps: tuple[PathStep, ...]) -> Test | None:
    profiles = [url for node, _ in nodes for declared in node.types for url in declared.get("profile", ())]
    bare = [
        str(declared.get("code", ""))
        for node, _ in nodes
        for declared in node.types
        if not declared.get("profile")
    ]
    if not profiles and not bare:
        return None

    def test(run: "Run", items: list[Item]) -> bool:
        return any(
            any(is_subtype(item.type, code) for code in bare)
            or any(_conforms(run, item, url) for url in profiles)
            for item in items
        )

    return test


def _conforms(run: "Run", item: Item, url: str) -> bool:
    profile = run.profile_of(url)
    # Of a profile that is not known, only the type of resource could be told, and not by its canonical.
    return profile is not None and is_subtype(item.type, profile.type) and run.conforms(item, url)


def _by_existence(_compiler: "Compiler", nodes: list[Place], _steps: tuple[PathStep, ...]) -> Test | None:
    if not nodes:
        return None
    definition = nodes[0][0].definition
    if definition.get("max") == "0":
        return lambda _run, items: not items
    if int(definition.get("min") or 0) > 0:
        return lambda _run, items: bool(items)
    return None


def _by_value(compiler: "Compiler", nodes: list[Place], _steps: tuple[PathStep, ...]) -> Test | None:
    tests = [found for node, contents in nodes if (found := _value(compiler, node, contents)) is not None]
    if not tests:
        return _by_existence(compiler, nodes, _steps)
    return lambda run, items: any(test(run, items) for test in tests)


def _value(compiler: "Compiler", node: ElementNode, contents: tuple[str, ...]) -> Test | None:
    fixed = node.value("fixed")
    if fixed is not None:
        return lambda _run, items: any(is_fixed(item.value, fixed[1]) for item in items)
    pattern = node.value("pattern")
    if pattern is not None:
        return lambda _run, items: any(has_pattern(item.value, pattern[1]) for item in items)
    bound = node.definition.get("binding", {})
    if bound.get("strength") == "required" and bound.get("valueSet"):
        value_set = bound["valueSet"]
        return lambda run, items: any(
            run.terminology.has_concept(value_set, item.value) is True for item in items
        )
    rule = compiler.rule(node, "", contents, None, "")
    if rule.is_trivial:
        return None
    return lambda run, items: any(_passes(run, rule, item) for item in items)


def _passes(run: "Run", rule: Rule, item: Item) -> bool:
    return run.accepts(lambda: rule.check(run, item))


KINDS: Final = {
    "value": _by_value,
    "pattern": _by_value,
    "type": _by_type,
    "profile": _by_profile,
    "exists": _by_existence,
}
