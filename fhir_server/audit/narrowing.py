"""What of a search of AuditEvent the columns of the trail can say: conditions that leave no match out.

Only plain values are read here; whatever else a search asks for is compared record by record.
"""

from collections.abc import Sequence
from datetime import UTC
from typing import Final

from fhir_server.index.date_range import date_range
from fhir_server.store.identity import is_id
from hie.core.access import Filters
from hie.core.audit.queries import Wanted

_SEPARATORS: Final = (",", "|", "\\", "$")
_ACTIONS: Final = frozenset("CRUDE")
_PARTS: Final = 2


def narrowed(parameters: Sequence[tuple[str, str]], filters: Filters | None, base_url: str) -> Wanted:
    """Return the conditions of `parameters`, and of what the requester may read where that is one way."""
    wanted = Wanted()
    given = list(parameters)
    alternatives = filters("AuditEvent").alternatives if filters is not None else ((),)
    if not alternatives:
        wanted.add("false")
    elif len(alternatives) == 1:
        given += [(name, value) for name, value in alternatives[0] if isinstance(value, str)]
    for name, value in given:
        _add(wanted, name, value.removeprefix(f"{base_url}/"))
    return wanted


def _add(wanted: Wanted, name: str, value: str) -> None:
    if any(separator in value for separator in _SEPARATORS):
        return
    kind, _, identity = value.rpartition("/")
    if name in ("patient", "patient:Patient") and kind in ("", "Patient") and is_id(identity):
        wanted.patient(identity)
    elif name == "agent" and kind in ("Practitioner", "Patient") and is_id(identity):
        wanted.agent(value)
    elif name == "entity" and len(value.split("/")) == _PARTS and is_id(identity):
        wanted.add("(entities @> %s OR %s = 'Patient/' || patient)", [value], value)
    elif name == "_id" and is_id(value):
        wanted.add("id = %s", value)
    elif name == "action" and value in _ACTIONS:
        wanted.add("action = %s", value)
    elif name == "date":
        _add_date(wanted, value)


def _add_date(wanted: Wanted, value: str) -> None:
    """Keep the instants that may be meant; a value that cannot be read was refused before."""
    prefix, text = (value[:2], value[2:]) if value[:1].isalpha() else ("eq", value)
    try:
        low, high = date_range(text.replace(" ", "+"), UTC)
    except ValueError:
        return
    if prefix in ("ge", "gt", "sa", "eq"):
        # A day of the search is one of its zone: at most 14 hours before that of UTC.
        wanted.add("recorded >= %s::timestamptz - interval '14 hours'", low)
    if prefix in ("le", "lt", "eb", "eq"):
        wanted.add("recorded <= %s::timestamptz + interval '14 hours'", high)
