"""``is``, ``as`` and ``ofType``: what type an item is (https://hl7.org/fhirpath/N1/#types).

``is`` holds for subtypes as well. ``as`` and ``ofType`` take a primitive only as exactly the type that is
named, a `code` not as `string`, as FHIR's own suite has it, and everything else by its ancestors. A name
without namespace is looked up in FHIR, then in System.
"""

from collections.abc import Callable
from typing import Final

from hie.core.fhirpath.node import Item, Node
from hie.core.fhirpath.shape import is_type
from hie.core.fhirpath.syntax import TypeName
from hie.core.fhirpath.values import TypeInfo, system_name
from hie.core.language_errors import FhirPathSyntaxError

Test = Callable[[Item], bool]

_SYSTEM_NAMES: Final = frozenset(
    {"Any", "Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"}
)
# Types that only reflection knows: https://hl7.org/fhirpath/N1/#reflection
_REFLECTED: Final = frozenset({"SimpleTypeInfo", "ClassInfo", "TypeInfo"})


def is_test(type_name: TypeName) -> Test:
    """Return whether an item is of the type or a subtype. Raises FhirPathSyntaxError where there is none."""
    return _test(type_name, is_exact=False)


def as_test(type_name: TypeName) -> Test:
    """Return whether ``as`` and ``ofType`` keep an item. Raises FhirPathSyntaxError where there is none."""
    return _test(type_name, is_exact=True)


def _test(type_name: TypeName, *, is_exact: bool) -> Test:
    name = type_name.name
    _check(type_name)
    may_be_fhir = type_name.namespace != "System"
    may_be_system = type_name.namespace != "FHIR"

    def test(item: Item) -> bool:
        if item.__class__ is Node:
            shape = item.shape
            if not may_be_fhir:
                return False
            if is_exact and shape.is_primitive:
                return bool(shape.name == name)
            return name in shape.ancestors
        if isinstance(item, TypeInfo):
            return name in _REFLECTED
        return may_be_system and (name == "Any" or system_name(item) == name)

    return test


def _check(type_name: TypeName) -> None:
    namespace, name = type_name.namespace, type_name.name
    if namespace not in {None, "System", "FHIR"}:
        raise FhirPathSyntaxError(f"`{namespace}.{name}` is no type: the namespaces are System and FHIR")
    if namespace == "System" or is_type(name):
        return
    if namespace is None and (name in _SYSTEM_NAMES or name in _REFLECTED):
        return
    raise FhirPathSyntaxError(f"`{name}` is no type of FHIR R4")
