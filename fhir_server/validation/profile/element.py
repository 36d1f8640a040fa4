"""A profile as a tree of its ElementDefinitions, from its snapshot or its differential.

Each node is an element of the type, or a slice of one; its children are the elements below it, its
slices the groups that its slicing makes (https://hl7.org/fhir/R4/profiling.html#slicing). A
differential is laid over the tree of its base; the base definitions of R4 need no tree, what they
say is known to `hie.core.fhir.structure`. What a node means is compiled in `compile`.
"""

import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Final

from hie.core.errors import InvalidResourceError, Issue
from hie.core.fhir.json import JsonObject
from hie.core.fhir.structure import elements_of

_BASE: Final = "http://hl7.org/fhir/StructureDefinition/"
_BY_TYPE: Final[JsonObject] = {"discriminator": [{"type": "type", "path": "$this"}], "rules": "open"}
# Lists that a differential adds to; all else it replaces.
_ADDED: Final = ("constraint", "condition", "mapping")


@dataclass(slots=True)
class ElementNode:
    """One ElementDefinition with what stands below it, by name without ``[x]``, and its slices by name."""

    definition: JsonObject
    children: "dict[str, ElementNode]" = field(default_factory=dict)
    slices: "dict[str, ElementNode]" = field(default_factory=dict)

    @property
    def types(self) -> list[JsonObject]:
        """The types that the element may have; empty where nothing is said."""
        return self.definition.get("type") or []

    def value(self, stem: str) -> tuple[str, object] | None:
        """Return type and value of ``fixed[x]``, ``pattern[x]``, ``minValue[x]``, ``maxValue[x]``."""
        for key, value in self.definition.items():
            if key.startswith(stem) and key[len(stem) : len(stem) + 1].isupper():
                return key[len(stem) :], value
        return None


def type_of_canonical(url: str) -> str | None:
    """Return the R4 type that `url` defines, None if it is a profile: ".../StructureDefinition/Patient"."""
    name = url.partition("|")[0].removeprefix(_BASE)
    return name if name != url and elements_of(name) else None


def read_tree(structure: JsonObject, tree_of: Callable[[str], ElementNode | None]) -> ElementNode:
    """Return the tree of a StructureDefinition; raises InvalidResourceError where it makes none.

    `tree_of` gives the tree of the base by its canonical URL, for one that has no snapshot.
    """
    snapshot = structure.get("snapshot", {}).get("element")
    if snapshot:
        return _laid_over(ElementNode(snapshot[0]), snapshot[1:], structure)
    elements = structure.get("differential", {}).get("element", [])
    base_url = structure.get("baseDefinition", "")
    base_type = type_of_canonical(base_url)
    base = ElementNode({"path": base_type}) if base_type else tree_of(base_url)
    if base is None:
        raise _broken(structure, f"It has no snapshot, and its base `{base_url}` is not known")
    tree = deepcopy(base)
    if elements and "." not in elements[0].get("path", ""):
        _overlay(tree, elements[0])
        elements = elements[1:]
    return _laid_over(tree, elements, structure)


def _laid_over(tree: ElementNode, elements: Iterable[JsonObject], structure: JsonObject) -> ElementNode:
    latest: dict[str, ElementNode] = {str(tree.definition.get("path", structure.get("type", ""))): tree}
    root = next(iter(latest))
    for element in elements:
        path = element.get("path", "")
        # what stood below an earlier element of this path is below it no more
        latest = {known: node for known, node in latest.items() if not known.startswith(f"{path}.")}
        parent_path, _, name = path.rpartition(".")
        parent = latest.get(parent_path) or _descend(tree, root, parent_path)
        if parent is None:
            raise _broken(structure, f"The element `{path}` stands below no other")
        latest[path] = _place(parent, name, element)
    return tree


def _descend(tree: ElementNode, root: str, path: str) -> ElementNode | None:
    """Return the node at `path`, made where a differential skips a level; the unsliced one."""
    if path != root and not path.startswith(f"{root}."):
        return None
    node = tree
    at = root
    for step in path[len(root) + 1 :].split(".") if path != root else ():
        at = f"{at}.{step}"
        node = _place(node, step, {"path": at})
    return node


def _place(parent: ElementNode, name: str, element: JsonObject) -> ElementNode:
    """Return the node that `element` is about, with what it says laid over what was said."""
    stem = name.removesuffix("[x]")
    slice_name = element.get("sliceName")
    node = parent.children.get(stem)
    if node is None:
        choice = _choice_of(parent, stem)
        if choice is not None:
            return _typed(parent, *choice, element)
        node = parent.children[stem] = ElementNode({"path": element["path"]})
    if slice_name is None:
        return _overlay(node, element)
    # "a/b" is a slice of the slice "a"
    *outer, _ = slice_name.split("/")
    for depth in range(len(outer)):
        node = node.slices.get("/".join(outer[: depth + 1]), node)
    sliced = node.slices.get(slice_name)
    if sliced is None:
        inherited = {
            key: value
            for key, value in node.definition.items()
            if key not in ("slicing", "sliceName", "id", "min")
        }
        sliced = node.slices[slice_name] = ElementNode({**inherited, "min": 0}, deepcopy(node.children))
    return _overlay(sliced, element)


def _choice_of(parent: ElementNode, name: str) -> tuple[str, str] | None:
    """Return stem and type where `name` is a choice with its type: "valueQuantity" of value[x].

    A definition may name the element so when it leaves one type
    (https://hl7.org/fhir/R4/profiling.html#choice).
    """
    for content in _contents(parent):
        found = elements_of(content).get(name)
        if found is not None and found[0].is_choice:
            return found[0].name, found[1]
    return None


def _contents(node: ElementNode) -> list[str]:
    path: str = node.definition.get("path", "")
    types = [declared.get("code", "") for declared in node.types]
    return [path, *types] if elements_of(path) else [*types, path]


def _typed(parent: ElementNode, stem: str, type_name: str, element: JsonObject) -> ElementNode:
    path = f"{element['path'].rpartition('.')[0]}.{stem}[x]"
    node = parent.children.get(stem)
    if node is None:
        node = parent.children[stem] = ElementNode({"path": path, "slicing": _BY_TYPE})
    node.definition.setdefault("slicing", _BY_TYPE)
    name = element.get("sliceName") or f"{stem}{type_name[:1].upper()}{type_name[1:]}"
    sliced = node.slices.setdefault(name, ElementNode({"path": path, "type": [{"code": type_name}]}))
    return _overlay(sliced, {**element, "type": element.get("type") or [{"code": type_name}], "path": path})


def _overlay(node: ElementNode, element: JsonObject) -> ElementNode:
    before = node.definition
    merged = {**before, **element}
    for name in _ADDED:
        if name in before and name in element:
            merged[name] = [*before[name], *(item for item in element[name] if item not in before[name])]
    for stem in ("fixed", "pattern"):
        if any(re.match(f"{stem}[A-Z]", key) for key in element):
            merged = {k: v for k, v in merged.items() if not re.match(f"{stem}[A-Z]", k) or k in element}
    node.definition = merged
    return node


def _broken(structure: JsonObject, why: str) -> InvalidResourceError:
    url = structure.get("url", "")
    return InvalidResourceError(
        [Issue("error", "structure", f"The StructureDefinition `{url}` cannot be used: {why}", None)]
    )
