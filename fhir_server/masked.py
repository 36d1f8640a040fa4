"""The repository as requesters see it: what `hie.core.masking` hides of a resource is hidden in every answer.

Every body that leaves the store leaves it by a method of `Repository`; here each of them is masked on its
way, and only for requesters who are not shown everything: for all others bodies stay the stored bytes.
What is masked is no whole resource and is not taken back. Whoever sees a resource masked may not patch it
either: a patch can test a value, and its answer would tell.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from fhir_server.definitions.search_parameters import load_registry
from fhir_server.index.date_range import DateRange
from fhir_server.search.service import Answer
from fhir_server.service import Repository
from fhir_server.store import read as reading
from fhir_server.store.everything import Compartments, Member, Place, Supporting
from fhir_server.store.history import Feed, FeedCursor, Window
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER
from fhir_server.transaction.criteria import Criteria, parse
from fhir_server.transaction.entry import Operation
from fhir_server.transaction.patch import Patch
from fhir_server.transaction.plan import Outcome
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError, ForbiddenError, Issue, RequestError
from hie.core.fhir.json import Json, JsonObject
from hie.core.masking import Asked, Mask, Masking, is_masked
from hie.core.ports import StoredResource

# https://hl7.org/fhir/R4/subscription-definitions.html#Subscription.criteria, and the filters of topics.
_CRITERIA: Final = re.compile(r"([A-Z][A-Za-z]+)\?(.*)", re.DOTALL)


class MaskedRepository(Repository):
    """A repository that shows each requester what `masking` says; raises as `Repository` does."""

    def __init__(self, *, masking: Masking, **parts: Any) -> None:
        """Take what masks, and the parts of `Repository`."""
        super().__init__(**parts)
        self._masking = masking

    def mask(self, transaction: Transaction) -> Mask | None:
        """Return what the requester is shown; None where that is everything."""
        return self._masking.mask(transaction.requester)

    def check(self, resource: JsonObject) -> list[Issue]:
        """Return what validation finds; a resource that is labelled as masked is never taken."""
        if is_masked(resource):
            kind = resource.get("resourceType")
            return [
                Issue(
                    "error",
                    "business-rule",
                    f"The {kind} is labelled MASKED: parts of it are hidden, so that it cannot be stored",
                    f"{kind}.meta.security",
                )
            ]
        return super().check(resource)

    def read(self, transaction: Transaction, resource_type: str, resource_id: str) -> StoredResource:
        """Return the current version as the requester is shown it."""
        return _shown(self.mask(transaction), super().read(transaction, resource_type, resource_id))

    def vread(
        self, transaction: Transaction, resource_type: str, resource_id: str, version: int
    ) -> StoredResource:
        """Return version `version` as the requester is shown it."""
        return _shown(self.mask(transaction), super().vread(transaction, resource_type, resource_id, version))

    def history(
        self,
        transaction: Transaction,
        resource_type: str,
        resource_id: str,
        *,
        count: int,
        since: datetime | None = None,
        at: DateRange | None = None,
        before: int | None = None,
    ) -> reading.HistoryPage:
        """Return versions of one resource as the requester is shown them."""
        page = super().history(
            transaction, resource_type, resource_id, count=count, since=since, at=at, before=before
        )
        mask = self.mask(transaction)
        return page if mask is None else replace(page, entries=_entries(mask, page.entries))

    def feed(
        self,
        transaction: Transaction,
        resource_types: Sequence[str],
        window: Window,
        *,
        count: int,
        behind: FeedCursor | None = None,
    ) -> Feed:
        """Return versions of all resources as the requester is shown them."""
        page = super().feed(transaction, resource_types, window, count=count, behind=behind)
        mask = self.mask(transaction)
        return page if mask is None else replace(page, entries=_entries(mask, page.entries))

    def answer(self, transaction: Transaction, *given: Any, **named: Any) -> Answer:
        """Return one page of a search, its resources as the requester is shown them."""
        found = super().answer(transaction, *given, **named)
        mask = self.mask(transaction)
        if mask is None:
            return found
        entries = tuple(each._replace(resource=_shown(mask, each.resource)) for each in found.page.entries)
        return replace(found, page=replace(found.page, entries=entries))

    def members(
        self, transaction: Transaction, wanted: Compartments, start: Place, count: int
    ) -> tuple[list[Member], bool]:
        """Return resources of compartments as the requester is shown them."""
        members, has_more = super().members(transaction, wanted, start, count)
        mask = self.mask(transaction)
        if mask is not None:
            members = [each._replace(body=mask.shown(TYPE_NAME[each.type], each.body)) for each in members]
        return members, has_more

    def supporting(
        self, transaction: Transaction, targets: Sequence[tuple[str, str]], wanted: Supporting
    ) -> list[StoredResource]:
        """Return what may come along with members as the requester is shown it."""
        mask = self.mask(transaction)
        return [_shown(mask, each) for each in super().supporting(transaction, targets, wanted)]

    def kept(self, transaction: Transaction, rids: Sequence[int]) -> list[StoredResource]:
        """Return the Observations as the requester is shown them."""
        mask = self.mask(transaction)
        return [_shown(mask, each) for each in super().kept(transaction, rids)]

    def read_all(self, transaction: Transaction, targets: Sequence[tuple[str, str]]) -> list[StoredResource]:
        """Return the current resources among `targets` as the requester is shown them."""
        mask = self.mask(transaction)
        return [_shown(mask, each) for each in super().read_all(transaction, targets)]

    def _apply(
        self, transaction: Transaction, groups: Sequence[Sequence[Operation]], *, is_alone: bool = False
    ) -> list[list[Outcome] | ExchangeError]:
        """Apply groups of operations; what is made of them is told as the requester is shown it."""
        mask = self.mask(transaction)
        if mask is None:
            return super()._apply(transaction, groups, is_alone=is_alone)
        for group in groups:
            for operation in group:
                _guard(mask, operation)
                self._check_criteria(transaction, operation)
        results = super()._apply(transaction, groups, is_alone=is_alone)
        for result in results:
            for made in result if isinstance(result, list) else ():
                if made.body is not None:
                    made.body = mask.shown(made.type, made.body)
        return results

    def _check_criteria(self, transaction: Transaction, operation: Operation) -> None:
        """Raise ForbiddenError for a Subscription whose criteria would tell what is masked.

        What is wrong with them otherwise is the validator's word.
        """
        for text in _texts(operation.resource) if operation.type == "Subscription" else ():
            found = _CRITERIA.fullmatch(text)
            if found is None or found[1] not in TYPE_NUMBER:
                continue
            try:
                self.selection(transaction, found[1], parse_qsl(found[2], keep_blank_values=True))
            except ForbiddenError:
                raise
            except RequestError:
                continue


def _shown(mask: Mask | None, stored: StoredResource) -> StoredResource:
    if mask is None or stored.body is None:
        return stored
    return stored._replace(body=mask.shown(stored.type, stored.body))


def _entries(mask: Mask, entries: Sequence[reading.HistoryEntry]) -> list[reading.HistoryEntry]:
    return [replace(each, resource=_shown(mask, each.resource)) for each in entries]


def _guard(mask: Mask, operation: Operation) -> None:
    """Raise ForbiddenError for what would tell what is masked; of a patch, once its resource is read.

    Criteria on one identifier are looked up without a search; so are those in references. All others the
    search itself refuses.
    """
    if operation.criteria is not None:
        _check(mask, operation.criteria, operation.at("request.url"))
    for reference in _conditional_references(operation.resource):
        resource_type, _, query = reference.partition("?")
        if resource_type in TYPE_NUMBER:
            _check(mask, parse(resource_type, query), operation.at("resource"))
    patch = operation.patch
    if patch is not None and patch.interaction == "patch":
        operation.patch = replace(patch, apply=lambda resource: _patched(mask, patch, resource))


def _patched(mask: Mask, patch: Patch, resource: JsonObject) -> JsonObject:
    if mask.changes(resource):
        name = f"{resource.get('resourceType')}/{resource.get('id')}"
        raise ForbiddenError(f"Parts of `{name}` are masked, so that it cannot be patched")
    return patch.apply(resource)


def _check(mask: Mask, criteria: Criteria, expression: str | None) -> None:
    if criteria.identifier is None:
        return
    parameter = load_registry().of(criteria.type)["identifier"]
    value = criteria.parameters[0][1]
    if mask.hides(Asked(criteria.type, parameter.code, parameter.type, parameter.expression, "", value)):
        raise ForbiddenError(
            f"What `identifier` of {criteria.type} reads is masked, so that it cannot be searched by",
            expression=expression or f"{criteria.type}.identifier",
        )


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _conditional_references(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str) and "?" in reference:
            yield reference
        for each in value.values():
            yield from _conditional_references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _conditional_references(each)
