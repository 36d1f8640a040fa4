"""Which Patients resources are about, for the audit trail (`hie.core.audit.patients.PatientsOf`).

A Patient is about itself; any other resource about the Patients that its search parameters refer to. What
is deleted has no index rows: its last content says it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from fhir_server.store.bodies import open_rows
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER, is_id
from hie.core.audit.patients import Resource
from hie.core.db.database import Transaction

_PATIENT: Final = TYPE_NUMBER["Patient"]

_REFERRED: Final = """
SELECT DISTINCT r.type, r.id, p.id
FROM unnest(%s::smallint[], %s::text[]) AS w (type, id)
JOIN resource r ON r.type = w.type AND r.id = w.id
JOIN ix_reference x ON x.rid = r.rid AND x.target_type = %s
JOIN resource p ON p.key_hash = x.target_hash AND p.type = %s
ORDER BY 1, 2, 3
"""
_DELETED: Final = """
SELECT r.type, r.id, h.version, h.body
FROM unnest(%s::smallint[], %s::text[]) AS w (type, id)
JOIN resource r ON r.type = w.type AND r.id = w.id AND r.is_deleted
CROSS JOIN LATERAL (
    SELECT version, body FROM resource_history
    WHERE rid = r.rid AND body IS NOT NULL ORDER BY version DESC LIMIT 1
) AS h
"""
_REFERENCE: Final = re.compile(rb'"reference"\s*:\s*"Patient/([A-Za-z0-9.-]{1,64})["/]')


class StoredPatients:
    """Finds Patients in the index of the repository."""

    def patients_of(
        self, transaction: Transaction, resources: Sequence[Resource]
    ) -> Mapping[Resource, Sequence[str]]:
        """Return the ids of the Patients that each of `resources` is or refers to, deleted ones too."""
        found: dict[Resource, list[str]] = {}
        types: list[int] = []
        ids: list[str] = []
        for resource_type, resource_id in resources:
            number = TYPE_NUMBER.get(resource_type)
            if number is None or not is_id(resource_id):
                continue
            if number == _PATIENT:
                found[resource_type, resource_id] = [resource_id]
            else:
                types.append(number)
                ids.append(resource_id)
        if not types:
            return found
        connection = transaction.connection
        for number, resource_id, patient in connection.execute(_REFERRED, (types, ids, _PATIENT, _PATIENT)):
            found.setdefault((TYPE_NAME[number], resource_id), []).append(patient)
        rows = connection.execute(_DELETED, (types, ids), binary=True).fetchall()
        for row, body in zip(rows, open_rows(connection, rows), strict=True):
            patients = {each.decode() for each in _REFERENCE.findall(body or b"")}
            found[TYPE_NAME[row[0]], row[1]] = sorted(patients)
        return found
