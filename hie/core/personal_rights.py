"""Where the rights of persons about their data meet the features that carry them out: ports and values.

`hie.rights` keeps the workflows (个人信息保护法, Personal Information Protection Law, art. 44 to 50); the
repository makes the copies, the encryption destroys what is to be erased. `hie.wiring` puts them together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hie.core.fhir.json import JsonObject

if TYPE_CHECKING:  # who names these ports needs no database
    from hie.core.db.database import Transaction


@dataclass(frozen=True, slots=True)
class ErasureRefusal:
    """Why the law has a record kept.

    `code` is a ground of `hie/rights/grounds.yaml` ("retention-outpatient", "retention-inpatient"), `until`
    the first day on which it may be erased, None where nobody can say; `source` the statute and its article.
    """

    code: str
    until: date | None
    source: str


class Erasure(Protocol):
    """Erases what is stored of one person. Works in the caller's transaction and never commits."""

    def refusal(self, transaction: "Transaction", patient: str, today: date) -> ErasureRefusal | None:
        """Return why the record of the Patient with the id `patient` may not be erased; None where it may."""
        ...

    def erase(self, transaction: "Transaction", patient: str, *, reason: str) -> None:
        """Erase the record for good, on behalf of the transaction's requester; `reason` names the request.

        Once done, doing it again changes nothing. Raises ConflictError while `refusal` gives a reason.
        """
        ...


@dataclass(frozen=True, slots=True)
class CopyState:
    """How the copy of a record stands.

    `is_made` and `is_failed` are both False while it is worked. `files` are the names that it may be fetched
    by until `expires_at`.
    """

    is_made: bool
    is_failed: bool
    files: tuple[str, ...] = ()
    expires_at: datetime | None = None


class RecordCopies(Protocol):
    """Makes copies of records as jobs of the transaction's requester, by what that requester may read."""

    def begin(self, transaction: "Transaction", patient: str, request: str) -> str:
        """Begin a copy of the record of the Patient with the id `patient`; return the id of its job.

        `request` is the id of the request that it is made for.
        """
        ...

    def state(self, transaction: "Transaction", job: str) -> CopyState | None:
        """Return how the copy stands; None for one that is cancelled, past its time, or another's."""
        ...

    def file(self, transaction: "Transaction", job: str, name: str) -> Path:
        """Return where the file `name` of a copy that is made stands; raises NotFoundError."""
        ...


class RecordReader(Protocol):
    """Makes a record readable for a person: a document of its own, that needs no other file."""

    def begin(self, patient: JsonObject, made_at: datetime) -> str:
        """Return the beginning of the document about the Patient `patient`."""
        ...

    def show(self, resources: Sequence[JsonObject]) -> str:
        """Return the part of the document that shows `resources`, in their order."""
        ...

    def end(self) -> str:
        """Return the end of the document."""
        ...


class CopyMade(Protocol):
    """Is told, in the transaction that ends the job, that the copy of a request is made."""

    def __call__(self, transaction: "Transaction", request: str) -> None:
        """Take the id of the request."""
        ...
