"""What a Subscription asks for that the server cannot follow: its words and its criteria.

What depends on what is stored (value sets, topics that are Basics) and on the settings (endpoints) is found
when the subscription is registered, and is then its error.
"""

from collections.abc import Callable

from fhir_server.search.look_up import Code, Unindexed
from fhir_server.subscriptions.criteria import CriteriaReader
from fhir_server.subscriptions.definition import read_definition, wants_notifications
from fhir_server.subscriptions.interest import read_interest
from fhir_server.subscriptions.topic import own_topics
from hie.core.clock import Clock
from hie.core.errors import InvalidResourceError, Issue
from hie.core.fhir.json import JsonObject


def findings_of_subscriptions(reader: CriteriaReader, clock: Clock) -> Callable[[JsonObject], list[Issue]]:
    """Return what finds the faults of a Subscription that wants notifications; `reader` compiles criteria."""

    def find(resource: JsonObject) -> list[Issue]:
        if not wants_notifications(resource):
            return []
        topics = own_topics()
        try:
            definition = read_definition(resource)
            if definition.topic is not None and definition.topic.partition("|")[0] not in topics:
                return []
            read_interest(definition, topics, reader, clock.now(), _LeftOpen())
        except InvalidResourceError as error:
            return error.findings
        return []

    return find


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
