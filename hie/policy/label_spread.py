"""Security labels that reach what was derived before: of a source that was labelled later, or by a new table.

`LabelSpread` follows the outbox; `relabel` goes over everything that is stored. Both write as the server, and
only what lacks a label. What is derived from a labelled resource when it is written has its labels at once
(`fhir_server.transaction.inheritance`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from hie.core.db.database import Database, Transaction
from hie.core.fhir.json import JsonObject, dumps, loads
from hie.core.outbox import OutboxEvent
from hie.core.ports import ResourceStore
from hie.policy.labelling import Labelling, labels_of

_PAGE: Final = 200
_CREATED: Final = 1


class LabelSpread:
    """Handles `fhir.changed`: what is derived from a changed resource carries its labels."""

    def __init__(
        self, store: ResourceStore, labelling: Labelling, derived: Iterable[str], subjects: Mapping[str, str]
    ) -> None:
        """Take the record, what labels, types of what is derived, and by which parameter each is whose."""
        self._store = store
        self._labelling = labelling
        self._subjects = {kind: subjects[kind] for kind in derived if kind in subjects}
        self._tokens = ",".join(f"{system}|{code}" for system, code in sorted(labelling.known))

    def __call__(self, transaction: Transaction, event: OutboxEvent) -> None:
        """Look at the records of the Patients whose labelled resources `event` names."""
        if not self._labelling.is_lasting:
            return
        changed: dict[str, list[str]] = {}
        for each in event.payload["changes"]:
            # Nothing was derived yet from what was just made.
            if each["type"] in self._subjects and each["version"] > _CREATED and each["method"] != "DELETE":
                changed.setdefault(each["type"], []).append(each["id"])
        patients: dict[str, None] = {}
        for kind, ids in changed.items():
            wanted = [("_id", ",".join(dict.fromkeys(ids))), ("_security", self._tokens)]
            for found in self._pages(transaction, kind, wanted):
                patients.update(dict.fromkeys(filter(None, map(self.patient_of, found))))
        for patient in patients:
            self.spread(transaction, patient)

    def spread(self, transaction: Transaction, patient: str) -> int:
        """Label what is derived from labelled resources of the Patient with the id; return how many."""
        contents: dict[str, JsonObject] = {}
        for kind, parameter in self._subjects.items():
            for page in self._pages(transaction, kind, [(parameter, f"Patient/{patient}")]):
                contents.update((f"{kind}/{each['id']}", each) for each in page)
        missing = self._missing(contents)
        if missing:
            write(self._store, transaction, missing)
        return len(missing)

    def patient_of(self, resource: JsonObject) -> str:
        """Return the id of the Patient whose resource it is, "" where none is."""
        for name in ("subject", "patient", "beneficiary"):
            literal = (resource.get(name) or {}).get("reference", "")
            if "Patient/" in literal:
                return str(literal.rpartition("Patient/")[2].partition("/")[0])
        return ""

    def _missing(self, contents: Mapping[str, JsonObject]) -> list[JsonObject]:
        """Return those of `contents` that lack a label of what they are derived from, with it."""
        sources = {name: found for name, each in contents.items() if (found := self._labelling.sources(each))}
        labels = {name: set(labels_of(each)) & self._labelling.known for name, each in contents.items()}
        gained: dict[str, None] = {}
        is_settled = False
        while not is_settled:
            is_settled = True
            for name, found in sources.items():
                new = set().union(*(labels.get(each, ()) for each in found)) - labels[name]
                if new:
                    is_settled = False
                    labels[name] |= new
                    gained[name] = None
        return [self._labelling.inherited(contents[name], sorted(labels[name])) for name in gained]

    def _pages(
        self, transaction: Transaction, kind: str, wanted: Sequence[tuple[str, str]]
    ) -> Iterator[list[JsonObject]]:
        return pages(self._store, transaction, kind, wanted)


def relabel(
    database: Database,
    store: ResourceStore,
    labelling: Labelling,
    spread: LabelSpread,
    resource_types: Iterable[str],
    note: Callable[[str, int, int], None],
) -> None:
    """Label everything that is stored by the table as it is now, a page a transaction; it may be repeated.

    `note` is told each type, how many of it were looked at and how many got a label. Takes no label away.
    """
    patients: dict[str, None] = {}
    for kind in resource_types:
        seen = labelled = 0
        cursor: str | None = ""
        while cursor is not None:
            with database.transaction() as transaction:
                found, cursor = _page(store, transaction, kind, [], cursor)
                made = [labelling.own(each, dumps(each)) for each in found]
                write(
                    store,
                    transaction,
                    [new for new, each in zip(made, found, strict=True) if new is not each],
                )
            seen += len(found)
            labelled += sum(new is not each for new, each in zip(made, found, strict=True))
            carrying = [each for each in made if not labelling.known.isdisjoint(labels_of(each))]
            patients.update(dict.fromkeys(filter(None, map(spread.patient_of, carrying))))
        if seen:
            note(kind, seen, labelled)
    for patient in patients if labelling.is_lasting else ():
        with database.transaction() as transaction:
            spread.spread(transaction, patient)


def pages(
    store: ResourceStore, transaction: Transaction, kind: str, wanted: Sequence[tuple[str, str]]
) -> Iterator[list[JsonObject]]:
    """Yield the resources of a search, a page at a time."""
    cursor: str | None = ""
    while cursor is not None:
        found, cursor = _page(store, transaction, kind, wanted, cursor)
        yield found


def _page(
    store: ResourceStore,
    transaction: Transaction,
    kind: str,
    wanted: Sequence[tuple[str, str]],
    cursor: str,
) -> tuple[list[JsonObject], str | None]:
    behind = [("_cursor", cursor)] if cursor else []
    page = store.search(transaction, kind, [*wanted, ("_count", str(_PAGE)), *behind])
    return [loads(each.resource.body or b"{}") for each in page.entries], page.next_cursor


def write(store: ResourceStore, transaction: Transaction, resources: Sequence[JsonObject]) -> None:
    """Store `resources` if they still are what was read; raises what hinders it."""
    if not resources:
        return
    bundle: JsonObject = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "resource": each,
                "request": {
                    "method": "PUT",
                    "url": f"{each['resourceType']}/{each['id']}",
                    "ifMatch": f'W/"{each["meta"]["versionId"]}"',
                },
            }
            for each in resources
        ],
    }
    (result,) = store.transact(transaction, [bundle])
    if result.error is not None:
        raise result.error
