"""Compiles slices: for each discriminator, how a value is told to belong to a slice.

https://hl7.org/fhir/R4/profiling.html#discriminator. What the discriminating element must be is taken
from the definition of the slice, there or in the profiles that its types name; what it is compared with
is in `criteria`. A slice of a choice of types without discriminator is told by its type.
"""

from typing import TYPE_CHECKING, Final

from fhir_server.validation.profile.criteria import KINDS, Place
from fhir_server.validation.profile.discriminator import (
    ExtensionOf,
    Name,
    PathStep,
    Resolve,
    follow,
    parse_path,
)
from fhir_server.validation.profile.element import ElementNode, type_of_canonical
from fhir_server.validation.profile.item import Item
from fhir_server.validation.profile.reference import named_type
from fhir_server.validation.profile.rule import Check, Match, Rule, Slice, Slicing, is_default
from hie.core.fhir.json import JsonObject
from hie.core.fhir.structure import Element, is_subtype

if TYPE_CHECKING:  # the compiler compiles slices too
    from fhir_server.validation.profile.compile import Compiler
    from fhir_server.validation.profile.run import Run

_BY_TYPE: Final[JsonObject] = {"type": "type", "path": "$this"}
_BY_URL: Final[JsonObject] = {"type": "value", "path": "url"}


def slicing(
    compiler: "Compiler",
    node: ElementNode,
    name: str,
    contents: tuple[str, ...],
    base: Element | None,
    label: str,
    owner: str,
) -> Slicing:
    """Return the compiled slicing of `node`; the arguments are those of its own rule."""
    given = node.definition.get("slicing", {})
    discriminators = given.get("discriminator") or _implied(name, base)
    slices: list[Slice] = []
    unsupported: list[str] = []
    default: Rule | None = None
    for slice_name, sliced in node.slices.items():
        from_types = _contents_of_slice(sliced, contents, compiler, owner, name)
        rule = compiler.rule(sliced, name, from_types, base, f"{label}:{slice_name}", owner, slice_name)
        if is_default(slice_name):
            default = rule
            continue
        tests = [_test(compiler, each, sliced, from_types) for each in discriminators]
        if not tests or None in tests:
            unsupported.append(
                f"The slice `{slice_name}` of `{label}` has no discriminator that can be followed"
            )
            continue
        match = _all([test for test in tests if test is not None])
        slices.append(Slice(match, rule, _explanation(compiler, discriminators, sliced, from_types, rule)))
    return Slicing(
        label,
        tuple(slices),
        given.get("rules", "open"),
        bool(given.get("ordered")),
        default,
        tuple(unsupported),
    )


def _implied(name: str, base: Element | None) -> list[JsonObject]:
    """Return the discriminators that an element has unsaid: extensions their url, a choice its type."""
    if name in ("extension", "modifierExtension"):
        return [_BY_URL]
    return [_BY_TYPE] if base is not None and base.is_choice else []


def _contents_of_slice(
    sliced: ElementNode, contents: tuple[str, ...], compiler: "Compiler", owner: str, name: str
) -> tuple[str, ...]:
    own = compiler.contents_of(sliced, owner, name) if owner else ()
    return own or contents


def _all(tests: list[Match]) -> Match:
    if len(tests) == 1:
        return tests[0]
    return lambda run, item: all(test(run, item) for test in tests)


def _test(
    compiler: "Compiler", discriminator: JsonObject, sliced: ElementNode, contents: tuple[str, ...]
) -> Match | None:
    steps = parse_path(discriminator.get("path", "$this"))
    if steps is None:
        return None
    nodes = _nodes_at(
        compiler, sliced, contents, steps, through_slices=discriminator.get("type") in ("value", "pattern")
    )
    make = KINDS.get(discriminator.get("type", "value"))
    test = make(compiler, nodes, steps) if make is not None else None
    if test is None:
        return None
    is_reference = bool(steps) and isinstance(steps[-1], Resolve) and discriminator.get("type") == "type"

    def match(run: "Run", item: Item) -> bool:
        found = follow(run, item, steps)
        if not found and is_reference:
            # the type is known from the reference, even if what it names is not
            found = [_named(each) for each in follow(run, item, steps[:-1])]
        return test(run, found)

    return match


def _explanation(
    compiler: "Compiler",
    discriminators: list[JsonObject],
    sliced: ElementNode,
    contents: tuple[str, ...],
    rule: Rule,
) -> Check | None:
    """Return what tells why a value is not of the slice; None where no profile tells it."""
    for discriminator in discriminators:
        steps = parse_path(discriminator.get("path", "$this"))
        if discriminator.get("type") != "profile" or steps is None:
            continue
        nodes = _nodes_at(compiler, sliced, contents, steps)
        urls = [url for node, _ in nodes for declared in node.types for url in declared.get("profile", ())]

        def explain(
            run: "Run", item: Item, steps: tuple[PathStep, ...] = steps, urls: list[str] = urls
        ) -> None:
            for found in follow(run, item, steps):
                for url in urls:
                    profile = run.profile_of(url)
                    if profile is not None and is_subtype(found.type, profile.type):
                        run.explain(found, url, rule.label)

        return explain
    return None


def _named(reference: Item) -> Item:
    name = named_type(reference) or ""
    return Item(None, None, name, name, name, reference, "")


def _nodes_at(
    compiler: "Compiler",
    node: ElementNode,
    contents: tuple[str, ...],
    steps: tuple[PathStep, ...],
    *,
    through_slices: bool = False,
) -> list[Place]:
    """Return the nodes that define what `steps` lead to from `node`.

    `through_slices`: a value may be fixed in a slice of an element on the way (a coding of a code).
    """
    places: list[Place] = [(node, contents)]
    for step in steps:
        places = [found for place in places for found in _step(compiler, place, step)]
        if through_slices:
            places += [(each, contents) for node, contents in places for each in node.slices.values()]
    return places


def _step(compiler: "Compiler", place: Place, step: PathStep) -> list[Place]:
    node, contents = place
    if isinstance(step, Name):
        return _below(compiler, node, contents, step.name)
    if isinstance(step, ExtensionOf):
        return [
            (extension, ("Extension",))
            for extensions, _ in _below(compiler, node, contents, "extension")
            for extension in extensions.slices.values()
            if step.url in _extension_urls(extension)
        ]
    if isinstance(step, Resolve):
        targets = [url for declared in node.types for url in declared.get("targetProfile", ())]
        return [(ElementNode({"type": [_as_type(url)]}), ()) for url in targets]
    return [(node, (step.type,))]


def _as_type(url: str) -> JsonObject:
    base = type_of_canonical(url)
    return {"code": base} if base else {"code": "Resource", "profile": [url]}


def _below(compiler: "Compiler", node: ElementNode, contents: tuple[str, ...], name: str) -> list[Place]:
    """Return the definitions of the element `name`: the node's own, else those of its types' profiles."""
    owner, base = compiler.base_of(contents, name)
    child = node.children.get(name)
    if child is not None:
        return [(child, compiler.contents_of(child, owner, name))]
    for declared in node.types:
        for url in declared.get("profile", ()):
            tree = compiler.tree_of(url)
            if tree is not None and name in tree.children:
                found = tree.children[name]
                return [(found, compiler.contents_of(found, str(declared["code"]), name))]
            if name == "url" and declared.get("code") == "Extension":
                # the canonical of an Extension's definition is the url that it fixes
                return [(ElementNode({"fixedUri": url.partition("|")[0]}), ("uri",))]
    if base is None:
        return []
    types = [{"code": type_name} for type_name in base.types]
    synthesised = ElementNode({"type": types, "min": base.min})
    return [(synthesised, compiler.contents_of(synthesised, owner, name))]


def _extension_urls(extension: ElementNode) -> set[str]:
    urls = {url.partition("|")[0] for declared in extension.types for url in declared.get("profile", ())}
    url = extension.children.get("url")
    given = url.value("fixed") if url is not None else None
    return urls | ({str(given[1])} if given is not None else set())
