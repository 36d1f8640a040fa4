"""What a subscription is interested in: conditions on resources, by type, and perhaps a topic.

Criteria of R4 are asked of what is created or updated (https://hl7.org/fhir/R4/subscription.html); filters
of a topic are asked of the focus of its events.
"""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from fhir_server.search.look_up import LookUp
from fhir_server.subscriptions.criteria import Criteria, CriteriaReader
from fhir_server.subscriptions.definition import Definition
from fhir_server.subscriptions.topic import Topic
from fhir_server.subscriptions.triggers import CompiledTopic, compile_topic
from hie.core.errors import ExchangeError, InvalidResourceError, Issue
from hie.core.language_errors import FhirPathSyntaxError

_CRITERIA = "Subscription.criteria"


@dataclass(frozen=True, slots=True)
class Interest:
    """`criteria` by resource type: all of one type must hold. `topic` is None for criteria of R4."""

    topic: CompiledTopic | None
    criteria: Mapping[str, tuple[Criteria, ...]]


def read_interest(
    definition: Definition,
    topics: Mapping[str, Topic],
    reader: CriteriaReader,
    now: datetime,
    look_up: LookUp | None = None,
    compiled: MutableMapping[str, CompiledTopic] | None = None,
) -> Interest:
    """Return what `definition` asks for; raises InvalidResourceError with what cannot be searched.

    `compiled` keeps topics between calls.
    """
    if definition.topic is None:
        criteria = _read(partial(reader.read, definition.criteria, now, look_up), definition.criteria)
        return Interest(None, {criteria.resource_type: (criteria,)})
    topic = topics.get(definition.topic.partition("|")[0])
    if topic is None:
        known = ", ".join(sorted(topics))
        message = f"There is no topic `{definition.topic}` here; there are {known}"
        raise InvalidResourceError([Issue("error", "not-found", message, _CRITERIA)])
    filters: dict[str, tuple[Criteria, ...]] = dict.fromkeys(topic.types, ())
    for text in definition.filters:
        for criteria in _filters(text, topic, reader, now, look_up):
            filters[criteria.resource_type] += (criteria,)
    return Interest(_topic(topic, reader, now, look_up, {} if compiled is None else compiled), filters)


def _topic(
    topic: Topic,
    reader: CriteriaReader,
    now: datetime,
    look_up: LookUp | None,
    compiled: MutableMapping[str, CompiledTopic],
) -> CompiledTopic:
    if topic.url not in compiled:

        def read(resource_type: str, query: str) -> Criteria:
            return _read(partial(reader.conditions, resource_type, query, now, look_up), query)

        try:
            compiled[topic.url] = compile_topic(topic, read)
        except FhirPathSyntaxError as error:
            message = f"The topic `{topic.url}` cannot be evaluated: {error.message}"
            raise InvalidResourceError([Issue("error", "not-supported", message, _CRITERIA)]) from error
    return compiled[topic.url]


def _filters(
    text: str, topic: Topic, reader: CriteriaReader, now: datetime, look_up: LookUp | None
) -> list[Criteria]:
    """Return a filter as criteria; one without type is for every type of the topic."""
    head, mark, _ = text.partition("?")
    if not mark:
        return [_read(partial(reader.conditions, each, text, now, look_up), text) for each in topic.types]
    if head not in topic.types:
        message = f"`{text}` filters {head or 'nothing'}; the topic has events of {', '.join(topic.types)}"
        raise InvalidResourceError([Issue("error", "value", message, _CRITERIA)])
    return [_read(partial(reader.read, text, now, look_up), text)]


def _read(read: Callable[[], Criteria], text: str) -> Criteria:
    try:
        return read()
    except ExchangeError as error:
        message = f"`{text}` cannot be searched: {error.message}"
        raise InvalidResourceError([Issue("error", error.code, message, _CRITERIA)]) from error
