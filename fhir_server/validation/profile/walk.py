"""Walks a whole resource: R4's invariants, extensible bindings, targets, extensions, and claimed profiles.

What is asked of every resource, whether or not a profile is named.
"""

from functools import cache
from typing import Final

from fhir_server.definitions.bindings import bindings
from fhir_server.definitions.invariants import invariants as base_invariants
from fhir_server.validation.invariants import invariants_at
from fhir_server.validation.profile.checks import binding
from fhir_server.validation.profile.item import Item, line_of
from fhir_server.validation.profile.reference import named_type
from fhir_server.validation.profile.rule import Check
from fhir_server.validation.profile.run import Profile, Run
from hie.core.fhir.structure import is_subtype

_HUMAN: Final = {
    invariant.key: invariant.human
    for path in ("Element", "Extension")
    for invariant in base_invariants()[path]
}


def check_resource(run: Run, resource: Item) -> None:
    """Report what is wrong with `resource` and everything in it."""
    for invariant in invariants_at(resource.path, resource.content):
        run.check_invariant(invariant, resource)
    for meta in resource.children("meta"):
        for claimed in meta.children("profile"):
            if isinstance(claimed.value, str):
                run.validate(resource, claimed.value)
    _check_below(run, resource)


def _check_below(run: Run, parent: Item) -> None:
    for item in parent.all_children():
        if item.is_resource:
            check_resource(run, item)
            continue
        if item.value is not None:
            _check_element(run, item)
        _check_below(run, item)


def _check_element(run: Run, item: Item) -> None:
    value = item.value
    for invariant in invariants_at(item.path, item.content):
        run.check_invariant(invariant, item)
    bound = _extensible_at(item.path)
    if bound is not None:
        bound(run, item)
    if type(value) is not dict:
        return
    if len(value) == 1 and "id" in value:
        run.report(item, "error", "invariant", f"ele-1: {_HUMAN['ele-1']}")
    if item.type == "Extension":
        _check_extension(run, item)
    elif item.type == "Reference" and item.element is not None:
        _check_target(run, item, item.element.targets)


@cache
def _extensible_at(path: str) -> Check | None:
    """Return the check of R4's own extensible binding at `path`; required ones are structural."""
    bound = bindings().get(path)
    if bound is None or bound.strength != "extensible":
        return None
    return binding("extensible", bound.value_set, None)


def _check_target(run: Run, item: Item, targets: tuple[str, ...]) -> None:
    """Report a reference to a type of resource that the element does not allow."""
    name = named_type(item)
    if name is not None and targets and not any(is_subtype(name, target) for target in targets):
        run.report(item, "error", "structure", f"The reference is to {name}; allowed: {', '.join(targets)}")


def _check_extension(run: Run, item: Item) -> None:
    """Report what is wrong with an extension (https://hl7.org/fhir/R4/extensibility.html)."""
    has_value = any(key.startswith(("value", "_value")) for key in item.value)
    if has_value is ("extension" in item.value):
        run.report(item, "error", "invariant", f"ext-1: {_HUMAN['ext-1']}")
    url = item.value.get("url", "")
    if item.parent is not None and item.parent.type == "Extension" and ":" not in url:
        return  # a part of a complex extension; its definition is that of the whole
    if ":" not in url:
        run.report(item, "error", "extension", f"The url of an extension must be absolute, found `{url}`")
        return
    is_modifier = item.element is not None and item.element.name == "modifierExtension"
    definition = run.profile_of(url)
    if definition is None:
        if is_modifier:
            run.report(
                item,
                "warning",
                "extension",
                f"The modifier extension `{url}` is not known here: its meaning is open",
            )
        return
    if definition.type != "Extension":
        run.report(item, "error", "extension", f"`{url}` defines no extension")
        return
    if definition.is_modifier is not is_modifier:
        place = "modifierExtension" if definition.is_modifier else "extension"
        run.report(item, "error", "extension", f"The extension `{url}` must stand in `{place}`")
    if not _is_in_context(item, definition):
        allowed = ", ".join(expression for _, expression in definition.contexts)
        run.report(
            item, "error", "extension", f"The extension `{url}` may not stand here; allowed: {allowed}"
        )
    _check_parts(run, item, definition)
    run.validate(item, url)


def _check_parts(run: Run, item: Item, definition: Profile) -> None:
    """Report parts of a complex extension that its definition does not know; others have an absolute url."""
    for part in item.children("extension") if definition.parts else ():
        name = part.value.get("url", "")
        if ":" not in name and name not in definition.parts:
            known = ", ".join(sorted(definition.parts))
            run.report(
                part, "error", "extension", f"`{name}` is no part of the extension; these are: {known}"
            )


def _is_in_context(item: Item, definition: Profile) -> bool:
    """Say whether an extension stands where its definition allows it.

    https://hl7.org/fhir/R4/defining-extensions.html#context. A context of kind fhirpath is taken as met.
    """
    holder = item.parent
    if holder is None or not definition.contexts:
        return True
    places = _places(holder)
    for kind, expression in definition.contexts:
        if kind == "fhirpath":
            return True
        if kind == "extension" and holder.type == "Extension" and holder.value.get("url") == expression:
            return True
        if kind == "element" and expression in places:
            return True
    return False


def _places(holder: Item) -> frozenset[str]:
    """Return the ways to name the element that holds an extension: its path and types, with their bases."""
    # "Element" is said of what may stand anywhere, on resources too
    found = {"Element", holder.path, holder.content, *line_of(holder.type)}
    if holder.element is not None and holder.element.is_choice:
        found.add(f"{holder.path}[x]")
    return frozenset(found)
