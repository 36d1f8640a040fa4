"""The register of processing: what is done with personal information, why, and how its impact was assessed.

个人信息保护法 art. 55 demands an impact assessment before sensitive information is processed, art. 56 says
what it contains, and that report and records are kept for three years at least
(https://personalinformationprotectionlaw.com/PIPL/article-56/). The other fields are those of GDPR art. 30(1)
(https://gdprhub.eu/index.php?title=Article_30_GDPR). No version is ever removed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any, Final, LiteralString
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from hie.core.audit.trail import Step
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import ConflictError, NotFoundError, ParameterValueError
from hie.core.fhir.json import JsonObject, dumps
from hie.rights.requests import checked
from hie.rights.standing import Standing, name_of

_COLUMNS: Final[LiteralString] = "id, version, state, content, made_by, made_at"
_NEWEST: Final[LiteralString] = (
    f"SELECT DISTINCT ON (id) {_COLUMNS} FROM rights_processing ORDER BY id, version DESC"  # noqa: S608 - our columns
)
_ADD: Final[LiteralString] = (
    "INSERT INTO rights_processing (id, version, state, content, made_by, made_at)"
    " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Processing:
    """One activity of processing; all are texts, those of REQUIRED not empty.

    `name` to `security_measures` are GDPR art. 30(1)(a) to (g) without the controller itself, which the
    settings name; `lawful_basis` is a case of 个人信息保护法 art. 13; `necessity`, `impact` and `safeguards`
    are art. 56 (1) to (3), `assessed_on` (a date) and `assessed_by` when and by whom.
    """

    name: str
    purposes: str = ""
    lawful_basis: str = ""
    data_subjects: str = ""
    data_categories: str = ""
    recipients: str = ""
    transfers: str = ""
    retention: str = ""
    security_measures: str = ""
    necessity: str = ""
    impact: str = ""
    safeguards: str = ""
    assessed_on: str = ""
    assessed_by: str = ""


FIELDS: Final = tuple(each.name for each in fields(Processing))
REQUIRED: Final = (
    "name",
    "purposes",
    "lawful_basis",
    "data_subjects",
    "data_categories",
    "retention",
    "security_measures",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of an activity in the register; `state` is active or retired."""

    id: UUID
    version: int
    state: str
    content: Processing
    made_by: str
    made_at: datetime

    @property
    def as_json(self) -> JsonObject:
        """The entry as it is exported."""
        return {
            "id": str(self.id),
            "version": self.version,
            "state": self.state,
            **asdict(self.content),
            "made_by": self.made_by,
            "made_at": self.made_at.isoformat(),
        }


class Register:
    """The register, for the security officer; `active` is for everybody who is known."""

    def __init__(self, clock: Clock, standing: Standing) -> None:
        """Take the clock and who may do what."""
        self._clock = clock
        self._standing = standing

    def active(self, transaction: Transaction) -> list[Entry]:
        """Return the activities that go on, by name."""
        return [each for each in self._newest(transaction) if each.state == "active"]

    def all(self, transaction: Transaction) -> list[Entry]:
        """Return the newest version of every activity, those that go on first, by name."""
        self._standing.require_officer(transaction.requester)
        return sorted(self._newest(transaction), key=lambda each: each.state)

    def versions(self, transaction: Transaction, identity: UUID) -> list[Entry]:
        """Return every version of an activity, the newest first; raises NotFoundError."""
        self._standing.require_officer(transaction.requester)
        rows = transaction.connection.execute(
            f"SELECT {_COLUMNS} FROM rights_processing WHERE id = %s ORDER BY version DESC",  # noqa: S608 - our columns
            (identity,),
        )
        found = [_entry(row) for row in rows]
        if not found:
            raise NotFoundError(f"The register has no activity `{identity}`")
        return found

    def add(self, transaction: Transaction, content: Processing) -> Entry:
        """Add an activity; raises ParameterValueError for a field that is missing or cannot be kept."""
        self._standing.require_officer(transaction.requester)
        return self._keep(transaction, uuid4(), 1, "active", content)

    def change(self, transaction: Transaction, identity: UUID, content: Processing, *, version: int) -> Entry:
        """Add a version of an activity behind `version`; raises ConflictError if that is not the newest."""
        newest = self.versions(transaction, identity)[0]
        self._require(newest, version)
        return self._keep(transaction, identity, version + 1, "active", content)

    def retire(self, transaction: Transaction, identity: UUID, *, version: int) -> Entry:
        """End an activity; raises ConflictError where `version` is not the newest, or it has ended."""
        newest = self.versions(transaction, identity)[0]
        self._require(newest, version)
        return self._keep(transaction, identity, version + 1, "retired", newest.content)

    def _require(self, newest: Entry, version: int) -> None:
        if newest.version != version:
            raise ConflictError(f"The activity `{newest.id}` was changed since version {version}")
        if newest.state == "retired":
            raise ConflictError(f"The activity `{newest.id}` has ended")

    def _newest(self, transaction: Transaction) -> list[Entry]:
        found = [_entry(row) for row in transaction.connection.execute(_NEWEST)]
        return sorted(found, key=lambda each: each.content.name)

    def _keep(
        self, transaction: Transaction, identity: UUID, version: int, state: str, content: Processing
    ) -> Entry:
        said = Processing(**{name: checked(text, name) for name, text in asdict(content).items()})
        if state == "active":
            _require_whole(said)
        made = Entry(identity, version, state, said, name_of(transaction.requester), self._clock.now())
        stored = transaction.connection.execute(
            _ADD,
            (identity, version, state, Jsonb(asdict(said), dumps=dumps), made.made_by, made.made_at),
        )
        if stored.rowcount != 1:
            raise ConflictError(f"The activity `{identity}` is being changed")
        transaction.note(
            Step(
                "processing-register",
                "C" if version == 1 else "U",
                is_change=True,
                detail={"activity": str(identity), "version": str(version), "state": state},
            )
        )
        return made


def _require_whole(content: Processing) -> None:
    for name in REQUIRED:
        if not getattr(content, name):
            raise ParameterValueError(f"`{name}` is missing", expression=name)
    if content.assessed_on:
        try:
            date.fromisoformat(content.assessed_on)
        except ValueError as error:
            raise ParameterValueError("`assessed_on` is no date", expression="assessed_on") from error


def _entry(row: tuple[Any, ...]) -> Entry:
    identity, version, state, content, made_by, made_at = row
    known = {name: content.get(name, "") for name in FIELDS}
    return Entry(identity, version, state, Processing(**known), made_by, made_at)


def processing_of(content: Mapping[str, str]) -> Processing:
    """Return the activity whose fields `content` names; raises ParameterValueError for one that is none."""
    unknown = sorted(set(content) - set(FIELDS))
    if unknown:
        raise ParameterValueError(f"`{unknown[0][:80]}` is no field of the register", expression="content")
    return Processing(**{"name": "", **content})
