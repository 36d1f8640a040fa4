"""The port of de-identified exports: who may make one, and what is left of each resource in it.

The repository selects and writes; what is left is another's word (`hie.privacy.exports`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hie.core.access import Requester
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject


class Survey(Protocol):
    """Learns the patients of an export before anything of it is written: each is shown twice."""

    def count(self, patient: bytes) -> None:
        """Take a Patient of the export, the first time."""
        ...

    def settle(self) -> None:
        """Find how far quasi-identifiers are generalised; raises AnonymityError where nothing suffices."""
        ...

    def choose(self, patient: bytes) -> None:
        """Take a Patient of the export, the second time."""
        ...

    def plan(self) -> JsonObject:
        """Return how the export is made; a worker that goes on with it begins with that."""
        ...


class Writing(Protocol):
    """De-identifies the resources of one export."""

    def of(self, body: bytes) -> bytes | None:
        """Return what is exported of a resource, in one line of JSON; None where that is nothing."""
        ...


class Deidentification(Protocol):
    """What a project is and what it may be given."""

    def reader(self, transaction: Transaction, project: str) -> Requester:
        """Return who reads on behalf of `project`.

        Raises ForbiddenError unless the requester of `transaction` takes part in it and it is approved.
        """
        ...

    def survey(self, transaction: Transaction, project: str) -> Survey:
        """Return what learns the patients of an export for `project`."""
        ...

    def writing(self, transaction: Transaction, project: str, plan: JsonObject) -> Writing:
        """Return what de-identifies the resources of the export that was planned so."""
        ...

    def report(self, plan: JsonObject, written: Mapping[str, int]) -> JsonObject:
        """Return a Parameters resource: what was generalised and suppressed; `written` counts by type."""
        ...


@dataclass(frozen=True, slots=True)
class ExportState:
    """How an export stands: `state` is that of its job, `files` are names with their numbers of lines.

    `report` is there once it is done; `reason` says why it failed.
    """

    state: str
    files: tuple[tuple[str, int], ...] = ()
    report: JsonObject | None = None
    reason: str = ""


class ProjectJobs(Protocol):
    """De-identified exports as jobs, for pages."""

    def begin(self, transaction: Transaction, project: str) -> str:
        """Begin an export of everything for `project`; return the id of its job. Raises as `reader`."""
        ...

    def state(self, transaction: Transaction, job: str) -> ExportState | None:
        """Return how it stands; None for one that is cancelled, past its time, or another's."""
        ...

    def file(self, transaction: Transaction, job: str, name: str) -> Path:
        """Return where one of its files stands; raises NotFoundError."""
        ...
