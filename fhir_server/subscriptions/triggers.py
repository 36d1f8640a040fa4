"""Whether a change is an event of a topic: https://hl7.org/fhir/R4B/subscriptiontopic-definitions.html.

Triggers are alternatives. In a trigger the interaction, the searches and the FHIRPath must all agree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection

from fhir_server.subscriptions.asked import which_hold
from fhir_server.subscriptions.changes import Change
from fhir_server.subscriptions.criteria import Criteria
from fhir_server.subscriptions.holds import Version, all_hold
from fhir_server.subscriptions.topic import Topic, Trigger
from hie.core.fhir.json import JsonObject
from hie.core.fhirpath.expression import Environment, Expression, compiled
from hie.core.language_errors import FhirPathError

_NOTHING: Final[list[JsonObject]] = []


@dataclass(frozen=True, slots=True)
class CompiledTrigger:
    """A trigger with its searches as conditions."""

    trigger: Trigger
    previous: Criteria | None
    current: Criteria | None
    expression: Expression | None


@dataclass(frozen=True, slots=True)
class CompiledTopic:
    """A topic, ready to be asked."""

    topic: Topic
    triggers: tuple[CompiledTrigger, ...]


def compile_topic(topic: Topic, read: Callable[[str, str], Criteria]) -> CompiledTopic:
    """Return `topic` with its searches read by `read` (type, query).

    Raises RequestError for a search, FhirPathSyntaxError for an expression that cannot be read.
    """
    triggers = []
    for trigger in topic.triggers:
        query = trigger.query
        previous = query.previous if query is not None else None
        current = query.current if query is not None else None
        triggers.append(
            CompiledTrigger(
                trigger,
                None if previous is None else read(trigger.resource_type, previous),
                None if current is None else read(trigger.resource_type, current),
                None if trigger.expression is None else compiled(trigger.expression),
            )
        )
    return CompiledTopic(topic, tuple(triggers))


def fires(connection: Connection[tuple[Any, ...]], topic: CompiledTopic, change: Change) -> bool:
    """Say whether `change` is an event of `topic`."""
    return any(
        each.trigger.resource_type == change.resource_type
        and change.interaction in each.trigger.interactions
        and _query_agrees(connection, each, change)
        and _expression_agrees(each, change)
        for each in topic.triggers
    )


def satisfies(connection: Connection[tuple[Any, ...]], criteria: Criteria, version: Version) -> bool:
    """Say whether `version` is what the search finds; the database is asked only where it must be."""
    known = all_hold(criteria.conditions, version)
    return bool(which_hold(connection, [criteria.conditions], version)) if known is None else known


def _query_agrees(connection: Connection[tuple[Any, ...]], each: CompiledTrigger, change: Change) -> bool:
    query = each.trigger.query
    if query is None:
        return True
    tests = []
    if each.previous is not None:
        before = change.previous
        tests.append(
            query.passes_for_create if before is None else satisfies(connection, each.previous, before)
        )
    if each.current is not None:
        after = change.current
        tests.append(query.passes_for_delete if after is None else satisfies(connection, each.current, after))
    if not tests:
        return True
    return all(tests) if query.requires_both else any(tests)


def _expression_agrees(each: CompiledTrigger, change: Change) -> bool:
    focus = change.focus
    if each.expression is None or focus is None:
        return each.expression is None
    variables = {
        "current": _NOTHING if change.current is None else change.current.resource,
        "previous": _NOTHING if change.previous is None else change.previous.resource,
    }
    environment = Environment(variables=variables, now=focus.last_updated)
    try:
        return each.expression.is_true(focus.resource, environment)
    except FhirPathError:
        return False  # what cannot be evaluated on this resource does not hold of it
