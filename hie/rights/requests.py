"""A request of a person as it stands, and its steps; what is stored is in `queries`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from hie.core.access import Requester
from hie.core.errors import ParameterValueError
from hie.core.fhir.json import JsonObject
from hie.core.personal_rights import CopyState, ErasureRefusal
from hie.rights.rules import Action, Done, Kind, State

LONGEST: Final = 2_000
"""Most characters of a reason, a remark, a wished value or a statement."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be corrected: an element of `resource` ("Patient/1"), as found and as wished."""

    resource: str
    element: str
    current: str
    wished: str

    @property
    def subject(self) -> str:
        """The element among all elements of all resources."""
        return f"{self.resource}#{self.element}"


@dataclass(frozen=True, slots=True)
class RightsRequest:
    """One request.

    `patient` is the id of the Patient whose record it is about, `requester` who asked, without the session.
    `reason` and `statement` (of disagreement with a refused correction) are the person's own words; both and
    the `correction` are gone once the record is erased. `job` is that of a copy, "" where none was begun.
    """

    id: UUID
    kind: Kind
    patient: str
    account: str
    requester: Requester
    state: State
    made_at: datetime
    due_at: datetime
    reason: str = ""
    statement: str = ""
    correction: Correction | None = None
    job: str = ""

    @property
    def done(self) -> Done:
        """What the rules want to know of it."""
        return Done(self.kind, self.state, bool(self.statement))

    @property
    def details(self) -> JsonObject:
        """What the person wrote, as it is stored; `correction_of` reads a part of it."""
        found: JsonObject = {"reason": self.reason, "statement": self.statement}
        if self.correction is not None:
            found["correction"] = {
                "resource": self.correction.resource,
                "element": self.correction.element,
                "current": self.correction.current,
                "wished": self.correction.wished,
            }
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class RequestStep:
    """One step of a request: who did what and when, and how it stood then.

    `by` is the account, "hie" for the server itself; `ground` the code of why it was refused, "" for others.
    """

    number: int
    action: str
    state: State
    at: datetime
    by: str
    ground: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be corrected: `element` of `resource` ("Patient/1") to the value `wished`."""

    resource: str
    element: str
    wished: str


@dataclass(frozen=True, slots=True)
class View:
    """A request as shown: its history, what its viewer may do, and how its copy or erasure stands."""

    request: RightsRequest
    steps: Sequence[RequestStep]
    actions: frozenset[Action]
    is_overdue: bool
    copy: CopyState | None = None
    refusal: ErasureRefusal | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests a list shows: of `account` or all, in `states` or any, only those overdue at a moment.

    `before` is the place behind the last one seen: when it was made, and its id.
    """

    account: str | None = None
    states: frozenset[State] = field(default_factory=frozenset)
    kinds: frozenset[Kind] = field(default_factory=frozenset)
    overdue_at: datetime | None = None
    before: tuple[datetime, UUID] | None = None


def correction_of(details: JsonObject) -> Correction | None:
    """Return the correction that `RightsRequest.details` wrote."""
    found = details.get("correction")
    return Correction(**found) if found else None


def checked(text: str, name: str) -> str:
    """Return `text` without white space around it; raises ParameterValueError for one that cannot be kept."""
    said = text.strip()
    if len(said) > LONGEST:
        raise ParameterValueError(f"`{name}` has at most {LONGEST} characters", expression=name)
    if any((each < " " and each not in "\n\r\t") or "\ud800" <= each <= "\udfff" for each in said):
        raise ParameterValueError(f"`{name}` has characters that cannot be kept", expression=name)
    return said
