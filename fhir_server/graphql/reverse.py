"""What refers to each of several resources, found by one search and handed to each of them.

https://hl7.org/fhir/R4/graphql.html#reverse. A list that is counted by `_count` is another for each resource,
and is searched for alone; so are lists that are too long together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from fhir_server.definitions.search_parameters import load_registry
from fhir_server.graphql.loader import Loader, Together
from fhir_server.graphql.searching import Arguments, filtered
from fhir_server.index.references import local_target
from hie.core.fhir.json import JsonObject, loads
from hie.core.fhirpath.expression import Environment, Expression, compiled


def together_with(
    arguments: Arguments, loader: Loader, most: int
) -> Together[Arguments, list[JsonObject]] | None:
    """Return how the list is searched for together with those of other resources, None where it is not."""
    parameter = load_registry().of(arguments.resource_type).get(arguments.reference)
    if parameter is None or not parameter.expression or arguments.is_counted:
        return None
    expression = compiled(parameter.expression)
    group = ("together", replace(arguments, focus=""))
    return Together(group, partial(_find, loader=loader, expression=expression, most=most))


def _find(
    several: Sequence[Arguments], *, loader: Loader, expression: Expression, most: int
) -> Mapping[Arguments, list[JsonObject]]:
    """Return the lists of `several`, which differ in their focus; none if they are too long together."""
    whole = replace(several[0], focus=",".join(each.focus for each in several))
    parameters = (*whole.all_parameters, ("_count", str(most)))
    page = loader.server.repository.search(loader.transaction, whole.resource_type, parameters)
    if page.next_cursor is not None:
        return {}
    lists: dict[str, list[JsonObject]] = {each.focus: [] for each in several}
    for resource in filtered([loads(each.resource.body or b"null") for each in page.entries], whole, loader):
        owners = _referred(resource, expression, loader) & lists.keys()
        if not owners:  # found by what the expression does not say: each is searched for alone
            return {}
        for owner in owners:
            lists[owner].append(resource)
    return {each: lists[each.focus] for each in several}


def _referred(resource: JsonObject, expression: Expression, loader: Loader) -> set[str]:
    """Return the resources of this server ("Patient/1") that the parameter finds in `resource`."""
    base_url = loader.server.base_url
    found = expression.evaluate(
        resource, Environment(now=loader.server.clock.now(), resolve=partial(_typed, base_url=base_url))
    )
    literals = [each.get("reference") if isinstance(each, dict) else each for each in found]
    targets = [local_target(each.partition("|")[0], base_url) for each in literals if isinstance(each, str)]
    return {f"{target[0]}/{target[1]}" for target in targets if target is not None}


def _typed(reference: str, *, base_url: str) -> JsonObject | None:
    """Return as much of the resource that `reference` names as its own text says: type and id."""
    target = local_target(reference, base_url)
    return None if target is None else {"resourceType": target[0], "id": target[1]}
