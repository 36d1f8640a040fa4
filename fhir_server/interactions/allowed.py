"""Which methods a path of the FHIR API has: what OPTIONS answers, and the Allow header of every 405.

RFC 9110, 9.3.7, 10.2.1 and 15.5.6. A path may belong to several routes (``/Patient/1`` is read by one and
deleted by another); one with a type that R4 does not have belongs to none.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from fhir_server.compartments.definitions import load_compartments
from fhir_server.compartments.search import ALL_TYPES
from fhir_server.operations import registry
from fhir_server.operations.dispatch import Path
from fhir_server.store.identity import TYPE_NUMBER, is_id

OPTIONS = "OPTIONS"


def allowed_methods(routes: Iterable[BaseRoute], scope: Scope) -> tuple[str, ...]:
    """Return the methods of the path of `scope` by `routes`, sorted, with OPTIONS; () where it has none."""
    found: set[str] = set()
    for route in routes:
        if isinstance(route, Route):
            match, child = route.matches(scope)
            if match is not Match.NONE:
                found |= _methods(route, child.get("path_params", {}))
    return tuple(sorted(found | {OPTIONS})) if found else ()


def _methods(route: Route, segments: Mapping[str, Any]) -> set[str]:
    """Return the methods of `route` where its path has `segments`; none where those name nothing."""
    methods = set(route.methods or ())
    resource_type, resource_id = segments.get("resource_type"), segments.get("resource_id")
    if resource_id is not None and not is_id(resource_id):
        return set()
    if "compartment" in segments:
        is_type = resource_type == ALL_TYPES or resource_type in TYPE_NUMBER
        return methods if is_type and segments["compartment"] in load_compartments() else set()
    if resource_type is not None and resource_type not in TYPE_NUMBER:
        return set()
    if "code" in segments:
        path = Path(segments["code"], resource_type, resource_id)
        operation = registry.find(path.code, path.level, resource_type)
        if operation is None:
            return set()
        return methods if operation.definition.takes_get else {"POST"}
    return methods
