"""The record: one audited interaction, compact, as it is chained and verified.

Its bytes are JSON in one fixed order of members; what a member says is said here. Not here: the AuditEvent
that readers get (`hie.core.audit.event`), and how a record becomes durable (`hie.core.audit.log` for
what reads, `hie.core.audit.commits` for what writes).
"""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from typing import Final, Literal

import orjson

from hie.core.access import Requester
from hie.core.fhir.json import JsonObject

Action = Literal["C", "R", "U", "D", "E"]
"""https://hl7.org/fhir/R4/valueset-audit-event-action.html"""

Kind = Literal["rest", "page", "message", "notification", "job", "sign-in", "break-glass", "trail"]
"""What happened: an HTTP interaction, a page of the portal, an HL7 v2 message received, a notification sent,
a step of a job, somebody signing in or out, an emergency access, or something done to the trail itself."""

_SUCCESS: Final = 200
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500


def new_id() -> str:
    """Return a new id of a record: the time, this process, and its count of records.

    Ids of one time lie together, which keeps their index small. A UUID would cost three times as much.
    """
    return f"{time.time_ns() // 1_000_000:012x}-{_process[0]}-{next(_count):x}"


_count: Final = count()
_process: Final = [os.urandom(8).hex()]


def _begin_anew() -> None:
    """Be another process after a fork."""
    _process[0] = os.urandom(8).hex()


os.register_at_fork(after_in_child=_begin_anew)


# Not frozen: to make a frozen one costs 3 µs more, which every read would pay.
@dataclass(slots=True)
class Record:
    """One interaction.

    `interaction` is a code of https://hl7.org/fhir/R4/valueset-restful-interaction.html, an operation with
    its ``$``, or a word of ours for what REST does not know ("ADT^A01", "sign-in"). `target` is the
    resource it names ("Patient/1", "Patient/1/_history/2", of a search the type); `query` the query string
    as it came. `seen` are the resources that were shown. `patients` are ids of the Patients
    concerned, as far as whoever records knows them; the chain finds those behind `target` and `seen`.
    `status` is the HTTP status; what has none takes that of the error it failed with, else 200.
    `detail` are pairs of what else is worth knowing, without names of persons.
    """

    kind: Kind
    interaction: str
    action: Action
    requester: Requester
    recorded: datetime
    target: str = ""
    query: str = ""
    status: int = _SUCCESS
    error: str = ""
    seen: tuple[tuple[str, str], ...] = ()
    patients: tuple[str, ...] = ()
    address: str = ""
    request_id: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=new_id)


def encode(record: Record, site: str) -> bytes:
    """Return the bytes of `record` as the machine `site` writes them, without members that have no value."""
    made: JsonObject = {
        "id": record.id,
        "at": record.recorded,
        "kind": record.kind,
        "do": record.interaction,
        "action": record.action,
        "status": record.status,
        "who": who(record.requester),
        "site": site,
    }
    if record.target:
        made["on"] = record.target
    if record.query:
        made["query"] = record.query
    if record.error:
        made["error"] = record.error
    if record.seen:
        made["seen"] = _grouped(record.seen)
    if record.patients:
        made["patients"] = record.patients
    if record.address:
        made["from"] = record.address
    if record.request_id:
        made["request"] = record.request_id
    if record.detail:
        made["detail"] = record.detail
    return orjson.dumps(made, option=orjson.OPT_UTC_Z)


@lru_cache(maxsize=4096)
def who(requester: Requester) -> JsonObject:
    """Return what a record says of who asks; the same object each time, not to be changed."""
    said: JsonObject = {"kind": requester.kind}
    for name in ("id", "client", "patient", "practitioner", "organization", "department", "session"):
        value = getattr(requester, name)
        if value:
            said[name] = value
    if requester.roles:
        said["roles"] = sorted(role.value for role in requester.roles)
    if requester.kind in ("person", "client"):
        said["purpose"] = requester.purpose
    return said


def agent_of(said: JsonObject) -> str:
    """Return the one name that searches for an agent go by, from what `who` said.

    The Practitioner or Patient that the person is, else the account.
    """
    if said.get("practitioner"):
        return f"Practitioner/{said['practitioner']}"
    if said.get("kind") == "person" and said.get("patient"):
        return f"Patient/{said['patient']}"
    return str(said.get("id") or said.get("client") or said["kind"])


def outcome_code(status: int) -> str:
    """Return the code of https://hl7.org/fhir/R4/valueset-audit-event-outcome.html for an HTTP status."""
    if status < _CLIENT_ERROR:
        return "0"
    return "4" if status < _SERVER_ERROR else "8"


def recorded_at(text: str) -> datetime:
    """Return the instant of the member "at"."""
    return datetime.fromisoformat(text).astimezone(UTC)


def seen_of(body: JsonObject) -> list[tuple[str, str]]:
    """Return type and id of the resources that a record says were shown."""
    return [(kind, each) for kind, ids in body.get("seen", {}).items() for each in ids]


def _grouped(seen: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the ids by type, each once: half the bytes of as many references."""
    by_type: dict[str, dict[str, None]] = {}
    for kind, resource_id in seen:
        by_type.setdefault(kind, {})[resource_id] = None
    return {kind: list(ids) for kind, ids in by_type.items()}
