"""A correction, from what is wished to an ordinary update with its Provenance.

Who works the request writes by its own right, so that the access policy decides. Where the source
institution has corrected the element in the meantime, nothing is written.
https://hl7.org/fhir/R4/provenance.html
"""

from typing import Final

from hie.core.access import Requester
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import ConflictError, ParameterValueError
from hie.core.fhir.json import Json, JsonObject, loads
from hie.core.ports import ResourceStore, StoredResource
from hie.rights.elements import value_at, with_value
from hie.rights.requests import Correction, RightsRequest
from hie.rights.standing import as_system

# "patient requested" (https://terminology.hl7.org/CodeSystem-v3-ActReason.html)
_REASON: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "PATRQT"}
_ACTIVITY: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "UPDATE"}
_AUTHOR: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
    "code": "author",
}


class Correcting:
    """Reads what is to be corrected, and corrects it."""

    def __init__(self, store: ResourceStore, clock: Clock) -> None:
        """Take the record and the clock of Provenances."""
        self._store = store
        self._clock = clock

    def wish(
        self, transaction: Transaction, patient: str, *, resource: str, element: str, wished: str
    ) -> Correction:
        """Return the correction of `element` of `resource` ("Patient/1") with the value that it has now.

        Raises NotFoundError for what the requester may not read, ParameterValueError for what is not of the
        record of `patient`, for a name that is none of an element, and for a value that it has already.
        """
        stored = loads(self._read(transaction, resource).body or b"{}")
        own = f"Patient/{patient}"
        if resource != own and own not in _references(stored):
            raise ParameterValueError(f"`{resource}` is not of this record", expression="resource")
        current = value_at(stored, element)
        with_value(stored, element, wished)
        if current == wished:
            raise ParameterValueError(f"`{element}` has this value already", expression="wished")
        return Correction(resource, element, current, wished)

    def correct(self, transaction: Transaction, request: RightsRequest) -> str:
        """Have the element be as it is wished; return the version of the resource that says so.

        Raises ConflictError where it is neither as it was found nor as it is wished, and ForbiddenError where
        the requester may not write the resource.
        """
        correction = request.correction
        if correction is None:
            raise ConflictError(f"What request `{request.id}` wished is no longer kept")
        resource_type, _, resource_id = correction.resource.partition("/")
        with as_system(transaction):
            stored = self._read(transaction, correction.resource)
        resource = loads(stored.body or b"{}")
        found = value_at(resource, correction.element)
        if found == correction.wished:
            return f"{correction.resource}/_history/{stored.version}"
        if found != correction.current:
            raise ConflictError(f"`{correction.element}` of {correction.resource} was changed since")
        changed = with_value(resource, correction.element, correction.wished)
        entry = {
            "resource": changed,
            "request": {"method": "PUT", "url": correction.resource, "ifMatch": f'W/"{stored.version}"'},
        }
        version = self._write(transaction, entry)
        made = f"{resource_type}/{resource_id}/_history/{version}"
        who = transaction.requester
        with as_system(transaction):
            provenance = self._provenance(who, request, made)
            self._write(
                transaction,
                {"resource": provenance, "request": {"method": "POST", "url": "Provenance"}},
            )
        return made

    def _provenance(self, who: Requester, request: RightsRequest, made: str) -> JsonObject:
        agent: JsonObject = {"display": f"account {who.id or who.kind}"}
        if who.practitioner:
            agent = {"reference": f"Practitioner/{who.practitioner}"}
        return {
            "resourceType": "Provenance",
            "target": [{"reference": made}],
            "recorded": self._clock.now().isoformat(),
            "reason": [{"coding": [_REASON], "text": f"个人信息保护法第四十六条; request {request.id}"}],
            "activity": {"coding": [_ACTIVITY]},
            "agent": [
                {
                    "type": {"coding": [_AUTHOR]},
                    "who": agent,
                    "onBehalfOf": {"reference": f"Patient/{request.patient}"},
                }
            ],
        }

    def _read(self, transaction: Transaction, resource: str) -> StoredResource:
        resource_type, _, resource_id = resource.partition("/")
        return self._store.read(transaction, resource_type, resource_id)

    def _write(self, transaction: Transaction, entry: JsonObject) -> int:
        bundle: JsonObject = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        (result,) = self._store.transact(transaction, [bundle])
        if result.error is not None:
            raise result.error
        return result.entries[0].version


def _references(value: Json) -> set[str]:
    """Return the references that `value` holds, however deep, as type and id."""
    if isinstance(value, list):
        return {found for each in value for found in _references(each)}
    if not isinstance(value, dict):
        return set()
    found = {each for part in value.values() for each in _references(part)}
    literal = value.get("reference")
    if isinstance(literal, str):
        found.add("/".join(literal.partition("/_history/")[0].split("/")[-2:]))
    return found
