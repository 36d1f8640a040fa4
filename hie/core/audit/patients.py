"""One record for each patient; who a record is about is found when it is chained, not in the request.

IHE BALP wants an AuditEvent for each Patient that a search has shown something of
(https://profiles.ihe.net/ITI/BALP/), and nobody's record should name what was seen of somebody else.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import orjson

from hie.core.audit.record import seen_of
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject

Resource = tuple[str, str]
"""Type and id."""


class PatientsOf(Protocol):
    """Says which Patients resources are about."""

    def patients_of(
        self, transaction: Transaction, resources: Sequence[Resource]
    ) -> Mapping[Resource, Sequence[str]]:
        """Return the ids of the Patients that each of `resources` is or refers to, deleted ones too."""
        ...


class NoPatients:
    """Knows of none: `PatientsOf` where there is no repository."""

    def patients_of(
        self,
        transaction: Transaction,  # noqa: ARG002 - the port's words
        resources: Sequence[Resource],  # noqa: ARG002 - the same
    ) -> Mapping[Resource, Sequence[str]]:
        """Return nothing."""
        return {}


def divide(transaction: Transaction, bodies: Sequence[bytes], patients: PatientsOf) -> list[bytes]:
    """Return the records in order, each about one patient at most, with only what was seen of that one.

    The first of a record keeps its id; the others get it with ``.2``, ``.3`` ...
    """
    records: list[JsonObject] = [orjson.loads(body) for body in bodies]
    about = [_resources(record) for record in records]
    wanted = list(dict.fromkeys(each for resources in about for each in resources))
    found = patients.patients_of(transaction, wanted) if wanted else {}
    made: list[bytes] = []
    for body, record, resources in zip(bodies, records, about, strict=True):
        given = [str(each) for each in record.get("patients", ())]
        everyone = dict.fromkeys(given)
        for each in resources:
            everyone.update(dict.fromkeys(found.get(each, ())))
        if list(everyone) == given and len(given) <= 1:
            made.append(body)
        else:
            made += _divided(record, list(everyone), found)
    return made


def _resources(record: JsonObject) -> list[Resource]:
    target = str(record.get("on", "")).split("/")
    named = [(target[0], target[1])] if len(target) > 1 else []
    return named + seen_of(record)


def _divided(
    record: JsonObject, everyone: Sequence[str], found: Mapping[Resource, Sequence[str]]
) -> list[bytes]:
    made: list[bytes] = []
    for number, patient in enumerate(everyone, start=1):
        part = {**record, "patients": [patient]}
        if number > 1:
            part["id"] = f"{record['id']}.{number}"
        if "seen" in record and len(everyone) > 1:
            seen: dict[str, list[str]] = {}
            for each in seen_of(record):
                concerned = found.get(each, ())
                if patient in concerned or not concerned:
                    seen.setdefault(each[0], []).append(each[1])
            part["seen"] = seen
        made.append(orjson.dumps(part))
    return made
