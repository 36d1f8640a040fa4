"""Refuses at write the Subscriptions whose words or criteria the server cannot follow.

A `hie.core.ports.Validator` around another. What depends on what is stored (value sets, topics that are
Basics) and on the settings (endpoints) is found when the subscription is registered, and is then its error.
"""

from collections.abc import Callable, Iterable

from fhir_server.search.look_up import Code, Unindexed
from fhir_server.subscriptions.criteria import CriteriaReader
from fhir_server.subscriptions.definition import read_definition, wants_notifications
from fhir_server.subscriptions.interest import read_interest
from fhir_server.subscriptions.topic import own_topics
from hie.core.clock import Clock
from hie.core.errors import InvalidResourceError, Issue
from hie.core.fhir.json import JsonObject
from hie.core.ports import Validator
from hie.core.settings import ValidationLevel


class SubscriptionValidator:
    """Implements `hie.core.ports.Validator`."""

    def __init__(self, inner: Validator, reader: CriteriaReader, clock: Clock) -> None:
        """Take the validator of all resources, and what compiles criteria."""
        self._inner = inner
        self._reader = reader
        self._clock = clock

    def validate(self, resource: JsonObject, *, level: ValidationLevel) -> list[Issue]:
        """Return every finding, as `hie.core.ports.Validator.validate`."""
        return self._with_own(self._inner.validate(resource, level=level), resource)

    def examine(
        self,
        resource: JsonObject,
        *,
        profiles: Iterable[str] = (),
        resolve: Callable[[str], JsonObject | None] | None = None,
    ) -> list[Issue]:
        """Return all that can be said, as `hie.core.ports.Validator.examine`."""
        return self._with_own(self._inner.examine(resource, profiles=profiles, resolve=resolve), resource)

    def _with_own(self, issues: list[Issue], resource: JsonObject) -> list[Issue]:
        if resource.get("resourceType") != "Subscription" or not wants_notifications(resource):
            return issues
        if any(each.severity in ("error", "fatal") for each in issues):
            return issues  # it is no Subscription that could be read
        return issues + self._findings(resource)

    def _findings(self, resource: JsonObject) -> list[Issue]:
        topics = own_topics()
        try:
            definition = read_definition(resource)
            if definition.topic is not None and definition.topic.partition("|")[0] not in topics:
                return []
            read_interest(definition, topics, self._reader, self._clock.now(), _LeftOpen())
        except InvalidResourceError as error:
            return error.findings
        return []


class _LeftOpen:
    """Answers what values refer to with nothing: whether it is stored is found at registration."""

    def members(self, value_set: str) -> tuple[Code, ...]:  # noqa: ARG002 - the port's words
        """Return no codes."""
        return ()

    def below(self, system: str, code: str) -> tuple[str, ...]:  # noqa: ARG002 - the port's words
        """Return the code itself."""
        return (code,)

    def above(self, system: str, code: str) -> tuple[str, ...]:  # noqa: ARG002 - the port's words
        """Return the code itself."""
        return (code,)

    def parts(
        self,
        resource_type: str,  # noqa: ARG002 - the port's words
        resource_id: str,
        parameter: int,  # noqa: ARG002 - the port's words
        *,
        is_above: bool,  # noqa: ARG002 - the port's words
    ) -> tuple[str, ...]:
        """Return the resource itself."""
        return (resource_id,)

    def unindexed(self, resource_type: str) -> tuple[Unindexed, ...]:  # noqa: ARG002 - the port's words
        """Return none: it is not asked what is stored."""
        return ()
