"""Parameters that are the union of others and need no rows of their own.

`combo-code` of Observation reads what `code` and `component-code` read: its
values are found in their rows, which saves its own in every Observation.
"""

from collections.abc import Mapping

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.index.expression import ExpressionError, Path, parse


def parts_of_type(parameters: Mapping[str, SearchParameter]) -> dict[str, tuple[SearchParameter, ...]]:
    """Return code -> the parameters whose values together are those of the parameter with that code.

    `parameters` are all those of one type, by code. Only unions of other parameters that are no
    unions of parameters themselves are looked for.
    """
    paths = {code: found for code, each in parameters.items() if (found := _paths(each))}
    union: dict[str, tuple[SearchParameter, ...]] = {}
    for code, wanted in paths.items():
        whole = parameters[code]
        inside = [
            other
            for other, found in paths.items()
            if other != code
            and found < wanted
            and parameters[other].type == whole.type
            and _components(parameters[other]) == _components(whole)
        ]
        chosen = [other for other in inside if not any(paths[other] < paths[another] for another in inside)]
        covered: set[Path] = set()
        for other in chosen:
            covered |= paths[other]
        if covered == wanted and sum(len(paths[other]) for other in chosen) == len(wanted):
            union[code] = tuple(parameters[other] for other in chosen)
    return union


def _paths(parameter: SearchParameter) -> set[Path]:
    # What a stored definition says may change, and rows of others must not depend on it.
    if not parameter.expression or parameter.is_stored:
        return set()
    try:
        return set(parse(parameter.expression, parameter.resource_type))
    except ExpressionError:
        return set()


def _components(parameter: SearchParameter) -> list[str]:
    return [expression for _, expression in parameter.components]
