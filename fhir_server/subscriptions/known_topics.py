"""The topics that there are: those of the server, and Basics that are stored as topics."""

from collections.abc import Mapping
from typing import Any, Final

from psycopg import Connection

from fhir_server.index.hashing import hash32, hash64, param_id
from fhir_server.store.bodies import open_rows
from fhir_server.subscriptions.topic import Topic, own_topics, topics_of
from hie.core.fhir.json import loads

_STORED: Final = """
SELECT r.type, r.id, r.version, r.body FROM ix_token x JOIN resource r ON r.rid = x.rid
WHERE x.param = %s AND x.code_hash = %s AND x.system_hash = %s ORDER BY x.seq
"""


def read_topics(connection: Connection[tuple[Any, ...]]) -> Mapping[str, Topic]:
    """Return canonical -> topic; a stored one cannot take the canonical of one of the server."""
    param = param_id("Basic", "code")
    system = hash32("http://hl7.org/fhir/fhir-types")
    rows = connection.execute(_STORED, (param, hash64("SubscriptionTopic"), system)).fetchall()
    stored = [loads(body or b"{}") for body in open_rows(connection, rows)]
    return {**topics_of(stored), **own_topics()}
