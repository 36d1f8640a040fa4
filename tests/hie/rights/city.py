"""Persons who belong to nobody, their records, and who asks about them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from hie import wiring
from hie.core.access import Requester, Role
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from hie.identity.tables import Account, Dependant
from hie.rights.service import Rights
from tests.fhir_server.access.city import record

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
WARD_ACCOUNT = "5f0c3c56-2c83-4b6f-9a56-5e1f34ab0001"


def person(name: str, *roles: Role, **elements: Any) -> Requester:
    """Return somebody with `roles`."""
    return Requester("person", name, roles=frozenset(roles), **elements)


CITIZEN = person("a-x", Role.CITIZEN, patient="x", session="s-1")
ELDER = person("a-z", Role.CITIZEN, patient="z")
NEIGHBOUR = person("a-y", Role.CITIZEN, patient="y")
GUARDIAN = person(WARD_ACCOUNT, Role.CITIZEN, Role.GUARDIAN, patient="x")
DESK = person("d-1", Role.CARD_DESK)
OFFICER = person("s-1", Role.SECURITY_OFFICER)
CLINICIAN = person("c-1", Role.CLINICIAN, practitioner="d-x", organization="h-x")


class Standstill:
    """A clock that a test sets."""

    def __init__(self) -> None:
        """Begin at NOW."""
        self.time = NOW

    def now(self) -> datetime:
        """Return the time."""
        return self.time

    def pass_days(self, days: float) -> None:
        """Go on."""
        self.time += timedelta(days=days)


def city() -> JsonObject:
    """Return the Bundle that stores the records of x, grown up, of y, a child, and of z, of long ago."""
    resources = []
    for name, born in (("x", "1980-05-01"), ("y", "2015-05-01")):
        for each in record(name):
            if each["resourceType"] == "Patient":
                each |= {"birthDate": born, "name": [{"text": f"示例{name}"}], "gender": "female"}
            if each["resourceType"] == "Encounter":
                each |= {
                    "period": {"start": "2026-02-01T09:00:00+08:00", "end": "2026-02-01T10:00:00+08:00"},
                    "participant": [{"individual": {"reference": f"Practitioner/d-{name}"}}],
                    "serviceProvider": {"reference": f"Organization/h-{name}"},
                }
            if each["resourceType"] == "Observation":
                each["performer"] = [{"reference": f"Organization/h-{name}"}]
            resources.append(each)
    resources += [
        {"resourceType": "Patient", "id": "z", "birthDate": "1950-01-01", "gender": "female"},
        {
            "resourceType": "Encounter",
            "id": "e-z",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": "Patient/z"},
            "period": {"start": "1990-01-01T09:00:00+08:00", "end": "1990-01-01T10:00:00+08:00"},
        },
    ]
    for name in "xy":
        resources += [
            {"resourceType": "Practitioner", "id": f"d-{name}"},
            {"resourceType": "Organization", "id": f"h-{name}", "name": f"Hospital {name}"},
        ]
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for each in resources
        ],
    }


@dataclass
class Town:
    """The exchange under the real policy, with a clock of the test."""

    exchange: wiring.Exchange
    clock: Standstill

    @property
    def rights(self) -> Rights:
        """The requests."""
        return self.exchange.rights.rights

    def acting(self, requester: Requester) -> Any:
        """Return a transaction of `requester`."""
        return self.exchange.database.transaction(requester=requester)

    def work_jobs(self) -> int:
        """Work all jobs; return how many."""
        runner, count = self.exchange.job_runner(), 0
        while runner.work_one():
            count += 1
        return count

    def steps(self, identity: UUID) -> list[tuple[object, ...]]:
        """Return action, state, account, ground of each step of a request."""
        with self.exchange.database.transaction() as transaction:
            return transaction.connection.execute(
                "SELECT action, state, by, ground FROM rights_step WHERE request = %s ORDER BY number",
                (identity,),
            ).fetchall()


@contextmanager
def town(database_url: str, folder: Path, **settings: object) -> Iterator[Town]:
    """Yield a town on a database of its own."""
    clock = Standstill()
    given = Settings(
        _env_file=None,
        auth="on",
        var_dir=folder,
        job_folder=folder / "jobs",
        audit_folder=folder / "audit",
        **settings,  # type: ignore[arg-type] # whatever the settings take
    )
    with wiring.build(given, database_url=database_url, clock=clock) as exchange:
        with exchange.database.transaction() as transaction:
            (result,) = exchange.repository.transact(transaction, [city()])
            assert result.error is None, result.error
            account = Account(id=UUID(WARD_ACCOUNT), name="guardian", patient_id="x", created_at=NOW)
            transaction.session.add(account)
            transaction.session.flush()
            transaction.session.add(Dependant(account_id=account.id, patient_id="y"))
        yield Town(exchange, clock)
