"""What FHIR R4 adds to FHIRPath (https://hl7.org/fhir/R4/fhirpath.html#functions); keys of SQL-on-FHIR v2.

`elementDefinition()` and `slice()` need the StructureDefinition that an element is validated against, which
an evaluation does not have: they are errors. ``subsumes`` and ``subsumedBy`` know only that a code subsumes
itself.
"""

from typing import Final

from hie.core.fhir.json import Json, JsonObject
from hie.core.fhirpath.evaluation import Closure, Frame, Run
from hie.core.fhirpath.functions.function import Function
from hie.core.fhirpath.narrative import is_narrative
from hie.core.fhirpath.navigation import named_children
from hie.core.fhirpath.node import Item, Items, Node
from hie.core.fhirpath.references import reference_text, type_and_id
from hie.core.fhirpath.resources import node_of
from hie.core.fhirpath.shape import is_type
from hie.core.fhirpath.values import single, system, text_of
from hie.core.language_errors import FhirPathError


def _extension(items: Items, frame: Frame, url: Closure) -> Items:
    wanted = text_of(url(frame), "extension()")
    frame.run.spend(len(items))
    return [
        child
        for item in items
        if isinstance(item, Node)
        for child in named_children(item, "extension")
        if isinstance(child, Node) and child.value.get("url") == wanted
    ]


def _has_value(items: Items, _: Frame) -> Items:
    # exactly one, a primitive, and with a value
    return [len(items) == 1 and _primitive_value(items[0]) is not None]


def _get_value(items: Items, _: Frame) -> Items:
    value = _primitive_value(items[0]) if len(items) == 1 else None
    return [] if value is None else [value]


def _primitive_value(item: Item) -> Item | None:
    if not isinstance(item, Node):
        return item
    if not item.shape.is_primitive:
        return None
    value = system(item)
    return None if isinstance(value, Node) else value


def _resolve(items: Items, frame: Frame) -> Items:
    found: Items = []
    frame.run.spend(len(items))
    for item in items:
        text = reference_text(item)
        resource = None if text is None else _resolved(text, frame.run)
        if resource is not None:
            found.append(node_of(resource))
    return found


def _resolved(reference: str, run: Run) -> JsonObject | None:
    node = run.root()
    if node is not None:
        root = node.value
        if reference.startswith("#"):
            if reference == "#":
                return root  # type: ignore[no-any-return] # a resource is an object
            contained = root.get("contained")
            run.spend(len(contained) if isinstance(contained, list) else 0)
            return _first(contained, "id", reference[1:])
        if root.get("resourceType") == "Bundle":
            entries = root.get("entry")
            run.spend(len(entries) if isinstance(entries, list) else 0)
            entry = _first(entries, "fullUrl", reference) or _entry_of(entries, reference)
            if entry is not None and isinstance(entry.get("resource"), dict):
                return entry["resource"]  # type: ignore[no-any-return] # a dict, as just seen
    resolve = run.environment.resolve
    return None if resolve is None else resolve(reference)


def _first(values: Json, key: str, wanted: str) -> JsonObject | None:
    found = values if isinstance(values, list) else []
    return next((one for one in found if isinstance(one, dict) and one.get(key) == wanted), None)


def _entry_of(entries: Json, reference: str) -> JsonObject | None:
    """Return the entry whose fullUrl ends in a relative `reference` (https://hl7.org/fhir/R4/bundle.html#references)."""
    if ":" in reference.split("/", 1)[0] or not isinstance(entries, list):
        return None
    ending = "/" + reference
    return next(
        (one for one in entries if isinstance(one, dict) and str(one.get("fullUrl", "")).endswith(ending)),
        None,
    )


def _member_of(items: Items, frame: Frame, value_set: Closure) -> Items:
    url, item = text_of(value_set(frame), "memberOf()"), single(items, "memberOf()")
    member_of = frame.run.environment.member_of
    if url is None or item is None:
        return []
    if member_of is None:
        raise FhirPathError("memberOf() needs a terminology service, and the evaluation is given none")
    verdict = member_of(item.value if isinstance(item, Node) else item, url)
    return [] if verdict is None else [verdict]


def _conforms_to(items: Items, frame: Frame, profile: Closure) -> Items:
    url, item = text_of(profile(frame), "conformsTo()"), single(items, "conformsTo()")
    if url is None or item is None:
        return []
    if not isinstance(item, Node):
        return [False]
    base = "http://hl7.org/fhir/StructureDefinition/"
    name = url.removeprefix(base)
    if url.startswith(base) and is_type(name):  # a type of R4 is its own profile
        return [name in item.shape.ancestors]
    conforms_to = frame.run.environment.conforms_to
    verdict = None if conforms_to is None else conforms_to(item.value, url)
    if verdict is None:
        raise FhirPathError(f"conformsTo() does not know the profile `{url}`")
    return [verdict]


def _check_modifiers(items: Items, frame: Frame, *urls: Closure) -> Items:
    known = {text_of(url(frame), "checkModifiers()") for url in urls}
    for item in items:
        for extension in named_children(item, "modifierExtension"):
            if extension.value.get("url") not in known:
                raise FhirPathError(
                    f"The modifier extension `{extension.value.get('url')}` is not understood",
                    expression=extension.path,
                )
    return items


def _html_checks(items: Items, _: Frame) -> Items:
    item = single(items, "htmlChecks()")
    value = system(item)
    return [is_narrative(value)] if isinstance(value, str) else []


def _subsumption(name: str) -> Function:
    def compare(items: Items, frame: Frame, other: Closure) -> Items:
        left, right = single(items, name), single(other(frame), name)
        if left is None or right is None:
            return []
        if _codes(left) & _codes(right):
            return [True]
        raise FhirPathError(f"{name} of two codes needs a terminology service")

    return Function(compare, 1, 1)


def _codes(item: Item) -> set[tuple[object, object]]:
    value = item.value if isinstance(item, Node) else item
    codings = value.get("coding", [value]) if isinstance(value, dict) else [{"code": value}]
    found = codings if isinstance(codings, list) else []
    return {
        (one.get("system"), one["code"])
        for one in found
        if isinstance(one, dict) and isinstance(one.get("code"), str)
    }


def _without_profile(name: str) -> Function:
    def refuse(_: Items, __: Frame, *___: Closure) -> Items:
        raise FhirPathError(f"{name} needs a StructureDefinition, and the evaluation is given none")

    return Function(refuse, 0, None)


def _resource_key(items: Items, _: Frame) -> Items:
    """Return what joins a row of a view to others: the type and id of a resource."""
    return [
        f"{item.value.get('resourceType')}/{item.value['id']}"
        for item in items
        if isinstance(item, Node) and item.shape.is_resource and isinstance(item.value.get("id"), str)
    ]


def _reference_key(items: Items, frame: Frame, wanted: Closure | None = None) -> Items:
    name = None if wanted is None else text_of(wanted(frame), "getReferenceKey()")
    found: Items = []
    for item in items:
        target = type_and_id(item)
        if target is not None and name in {None, target[0]}:
            found.append("/".join(target))
    return found


FHIR: Final = {
    "extension": Function(_extension, 1, 1),
    "hasValue": Function(_has_value),
    "getValue": Function(_get_value),
    "resolve": Function(_resolve),
    "memberOf": Function(_member_of, 1, 1),
    "conformsTo": Function(_conforms_to, 1, 1),
    "checkModifiers": Function(_check_modifiers, 1, None),
    "htmlChecks": Function(_html_checks),
    "htmlchecks": Function(_html_checks),
    "subsumes": _subsumption("subsumes()"),
    "subsumedBy": _subsumption("subsumedBy()"),
    "elementDefinition": _without_profile("elementDefinition()"),
    "slice": _without_profile("slice()"),
    "getResourceKey": Function(_resource_key),
    "getReferenceKey": Function(_reference_key, 0, 1),
}
