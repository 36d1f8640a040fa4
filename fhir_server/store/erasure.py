"""Removes all that the store has of one patient: what is left can be read by nobody.

The key is destroyed, so that copies of the rows (WAL, dead tuples, backups) are of no use, and the rows,
their index, events and files of jobs are removed. What is of other patients too stays: it is theirs.
"""

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from psycopg import Connection

from fhir_server.store.expunge import remove
from fhir_server.store.record import keys_of, members
from hie.core.crypto.text_cipher import SEALED
from hie.core.fhir.json import JsonObject

_LOCK: Final = "SELECT rid FROM resource WHERE rid = ANY(%s) ORDER BY rid FOR UPDATE"
# Of resources that are another patient's by now.
_SUPERSEDED: Final = """
DELETE FROM resource_history WHERE substr(body, 1, 1) = %s AND substr(body, 4, 8) = ANY(%s)
"""
# The same array with what is not of the patient, in the order it has.
_OUTBOX: Final = """
WITH gone AS MATERIALIZED (SELECT * FROM unnest(%(types)s::text[], %(ids)s::text[]) AS g (type, id))
UPDATE outbox o SET payload = jsonb_set(o.payload, '{changes}', coalesce(
    (SELECT jsonb_agg(c.change ORDER BY c.n)
     FROM jsonb_array_elements(o.payload -> 'changes') WITH ORDINALITY AS c (change, n)
     WHERE NOT EXISTS (
         SELECT FROM gone g WHERE g.type = c.change ->> 'type' AND g.id = c.change ->> 'id')),
    '[]'))
WHERE o.payload ? 'changes' AND EXISTS (
    SELECT FROM jsonb_array_elements(o.payload -> 'changes') AS c (change)
    JOIN gone g ON g.type = c.change ->> 'type' AND g.id = c.change ->> 'id'
)
"""
_JOBS: Final = "SELECT id::text FROM job WHERE state <> 'cancelled'"
_CANCEL: Final = """
UPDATE job SET state = 'cancelled', output = NULL, expires_at = clock_timestamp()
WHERE id = ANY(%s::uuid[]) OR (state <> 'cancelled' AND strpos(output::text, %s) > 0)
"""


def erase_patient(
    connection: Connection[tuple[Any, ...]], patient: str
) -> tuple[int, list[JsonObject], list[bytes]]:
    """Remove the patient's rows; return how many versions, the changes to announce, and the keys to destroy.

    The resources are locked first, as all writers do, and then the caller destroys the keys.
    """
    keys = keys_of(connection, patient)
    rids = [rid for (rid,) in connection.execute(_LOCK, (members(connection, patient),))]
    versions, changes = remove(connection, rids)
    if keys:
        versions += connection.execute(_SUPERSEDED, (SEALED, keys)).rowcount
    named = {"types": [each["type"] for each in changes], "ids": [each["id"] for each in changes]}
    connection.execute(_OUTBOX, named)
    return versions, changes, keys


def erase_files(connection: Connection[tuple[Any, ...]], folder: Path, patient: str) -> int:
    """Give up the results of all jobs that name the patient; return how many. The worker removes them."""
    text = f"Patient/{patient}"
    own = f'"resourceType":"Patient","id":"{patient}"'
    found = [
        identity
        for (identity,) in connection.execute(_JOBS).fetchall()
        if _names(folder / identity, [text.encode(), own.encode()])
    ]
    return connection.execute(_CANCEL, (found, text)).rowcount


def _names(folder: Path, texts: Sequence[bytes]) -> bool:
    """Say whether a file of a job has one of `texts`, without reading it whole into memory."""
    if not folder.is_dir():
        return False
    for path in folder.rglob("*"):
        if not path.is_file() or path.stat().st_size == 0:
            continue
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if any(content.find(text) >= 0 for text in texts):
                return True
    return False
