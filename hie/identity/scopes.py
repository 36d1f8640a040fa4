"""Which of the scopes that a client asks for it is granted: those that it registered and the roles have.

Scopes say what a client may do for somebody, never more than that person may: the access policy decides each
request. A scope is narrowed to what both permit and left out where that is nothing
(http://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html); what was granted is in the
token response.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

import yaml

from hie.core import smart_scopes
from hie.core.access import Role
from hie.core.errors import ConfigurationError
from hie.core.smart_scopes import ResourceScope
from hie.identity.clients import OTHER_SCOPES


def for_person(requested: Sequence[str], registered: Sequence[str], roles: Iterable[Role]) -> tuple[str, ...]:
    """Return what of `requested` a person of `roles` can grant a client that registered `registered`."""
    limit = [scope for role in sorted(roles) for scope in role_scopes()[role]]
    granted: dict[str, None] = {}
    for text in requested:
        if text in OTHER_SCOPES:
            if text in registered:
                granted[text] = None
            continue
        for found in _narrowed(text, registered, limit):
            granted[found] = None
    return tuple(granted)


def for_client(requested: Sequence[str], registered: Sequence[str]) -> tuple[str, ...]:
    """Return what of `requested` a client gets on its own behalf: `system/` scopes that it registered."""
    everything = [ResourceScope("system", smart_scopes.ANY_TYPE, smart_scopes.LETTERS)]
    granted = (found for text in requested for found in _narrowed(text, registered, everything))
    return tuple(dict.fromkeys(granted))


@cache
def role_scopes() -> Mapping[Role, tuple[ResourceScope, ...]]:
    """Return the most that a person of each role can grant; raises ConfigurationError for bad data."""
    raw = yaml.safe_load(files("hie.identity").joinpath("role_scopes.yaml").read_text(encoding="utf-8"))
    found: dict[Role, tuple[ResourceScope, ...]] = {}
    for role in Role:
        scopes = [(text, smart_scopes.parse(text)) for text in raw[role.value]]
        wrong = [text for text, scope in scopes if scope is None]
        if wrong:
            raise ConfigurationError(f"role_scopes.yaml: {wrong[0]} is no scope")
        found[role] = tuple(scope for _, scope in scopes if scope is not None)
    return found


def _narrowed(text: str, registered: Sequence[str], limit: Iterable[ResourceScope]) -> list[str]:
    """Return the scope `text` within both lists, as it was written where nothing is taken from it."""
    wanted = smart_scopes.parse(text)
    if wanted is None:
        return []
    permitted = list(_within([wanted], smart_scopes.resource_scopes(registered)))
    permitted = list(_within(permitted, limit))
    if any(wanted.is_within(each) for each in permitted):
        return [text]
    return [str(each) for each in _widest(permitted)]


def _within(scopes: Iterable[ResourceScope], limit: Iterable[ResourceScope]) -> Iterable[ResourceScope]:
    bounds = list(limit)
    for scope in scopes:
        for bound in bounds:
            common = scope.restricted_by(bound)
            if common is not None:
                yield common


def _widest(scopes: Sequence[ResourceScope]) -> list[ResourceScope]:
    """Return `scopes` without those that another one contains."""
    distinct = list(dict.fromkeys(each.normal() for each in scopes))
    return [
        each
        for each in distinct
        if not any(each is not other and each.is_within(other) for other in distinct)
    ]
