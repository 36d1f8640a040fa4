"""What the store knows of one patient's medical record: which resources it is, and its last visits.

The record is the compartment of the Patient (https://hl7.org/fhir/R4/compartmentdefinition-patient.html),
less what is in another patient's compartment as well. Reads the index; what is deleted has no index rows,
and is found by what was last stored of it.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from psycopg import Connection

from fhir_server.compartments.definitions import load_compartments
from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.index.hashing import hash64, param_id, reference_key
from fhir_server.store.bodies import open_rows
from fhir_server.store.identity import TYPE_NUMBER
from hie.core.crypto.text_cipher import SEALED
from hie.core.retention import Record, Retention

_PATIENT: Final = TYPE_NUMBER["Patient"]

# Current resources, and whether each is in the compartment of nobody else.
_MEMBERS: Final = """
SELECT DISTINCT x.rid, r.type, NOT EXISTS (
    SELECT FROM ix_reference o WHERE o.rid = x.rid AND o.param = ANY(%(params)s)
        AND o.target_type = %(patient)s AND o.target_hash <> %(key)s
)
FROM ix_reference x JOIN resource r ON r.rid = x.rid
WHERE x.param = ANY(%(params)s) AND x.target_hash = %(key)s AND r.type <> %(patient)s
"""
_ITSELF: Final = "SELECT rid FROM resource WHERE type = %(patient)s AND id = %(id)s"
# All deleted resources that may have been of the patient: sealed with its keys, or with its id in the text.
_DELETED: Final = """
SELECT r.type, r.id, h.version, h.body, r.rid
FROM resource r CROSS JOIN LATERAL (
    SELECT version, body FROM resource_history
    WHERE rid = r.rid AND body IS NOT NULL ORDER BY version DESC LIMIT 1
) AS h
WHERE r.is_deleted AND r.type <> %(patient)s AND (
    (substr(h.body, 1, 1) = %(sealed)s AND substr(h.body, 4, 8) = ANY(%(keys)s))
    OR (substr(h.body, 1, 1) <> %(sealed)s AND position(%(text)s IN h.body) > 0)
)
"""
_KEYS: Final = "SELECT int8send(id) FROM data_key WHERE scope = %s AND wrapped IS NOT NULL"
_ENCOUNTERS: Final = """
SELECT
    EXISTS (SELECT FROM ix_token t WHERE t.rid = e.rid AND t.param = %s AND t.code_hash = ANY(%s)),
    EXISTS (SELECT FROM ix_token t WHERE t.rid = e.rid AND t.param = %s AND t.code_hash = ANY(%s)),
    (SELECT max(coalesce(CASE WHEN isfinite(d.hi) THEN d.hi - interval '1 microsecond' END,
        CASE WHEN isfinite(d.lo) THEN d.lo END)) FROM ix_date d WHERE d.rid = e.rid AND d.param = %s),
    e.last_updated
FROM resource e WHERE e.rid = ANY(%s)
"""
_LAST_STORED: Final = "SELECT max(last_updated) FROM resource WHERE rid = ANY(%s)"
_REFERENCES: Final = re.compile(rb'Patient/([A-Za-z0-9.-]{1,64})["/]')


def keys_of(connection: Connection[tuple[Any, ...]], patient: str) -> list[bytes]:
    """Return the ids of the patient's data keys, as envelopes name them."""
    return [key for (key,) in connection.execute(_KEYS, (f"Patient/{patient}",), binary=True)]


def members(connection: Connection[tuple[Any, ...]], patient: str) -> list[int]:
    """Return the rids of the record: the Patient, what is of nobody else, and what of that was deleted."""
    values = _values(patient)
    found = [rid for (rid,) in connection.execute(_ITSELF, values)]
    found += [rid for rid, _, is_only in connection.execute(_MEMBERS, values) if is_only]
    keys = {"sealed": SEALED, "keys": keys_of(connection, patient), "text": f'Patient/{patient}"'.encode()}
    deleted = connection.execute(_DELETED, {**values, **keys}, binary=True).fetchall()
    bodies = open_rows(connection, [row[:4] for row in deleted])
    for row, body in zip(deleted, bodies, strict=True):
        if set(_REFERENCES.findall(body or b"")) == {patient.encode()}:
            found.append(row[4])
    return sorted(set(found))


def record_of(connection: Connection[tuple[Any, ...]], patient: str, rules: Retention) -> Record:
    """Return what the rules of retention ask of the record."""
    rows = connection.execute(_MEMBERS, _values(patient)).fetchall()
    visits: list[datetime] = []
    discharges: list[datetime] = []
    is_in_hospital = False
    encounters = [rid for rid, kind, _ in rows if kind == TYPE_NUMBER["Encounter"]]
    for is_stay, is_open, last, stored in connection.execute(
        _ENCOUNTERS,
        (
            param_id("Encounter", "class"),
            _hashes(rules.inpatient_classes),
            param_id("Encounter", "status"),
            _hashes(rules.open_states),
            param_id("Encounter", "date"),
            encounters,
        ),
    ):
        is_in_hospital = is_in_hospital or (is_stay and is_open)
        (discharges if is_stay else visits).append(last or stored)
    if not encounters:
        administrative = {TYPE_NUMBER[name] for name in rules.administrative}
        parts = [rid for rid, kind, _ in rows if kind not in administrative]
        ((last,),) = connection.execute(_LAST_STORED, (parts,)).fetchall()
        visits += [last] if last is not None else []
    return Record(
        max(visits).date() if visits else None,
        max(discharges).date() if discharges else None,
        is_in_hospital=is_in_hospital,
    )


def _values(patient: str) -> dict[str, object]:
    return {
        "patient": _PATIENT,
        "id": patient,
        "key": reference_key("Patient", patient),
        "params": load_compartments()["Patient"].numbers(R4_RESOURCE_TYPES),
    }


def _hashes(codes: Sequence[str] | frozenset[str]) -> list[int]:
    return [hash64(code) for code in codes]
