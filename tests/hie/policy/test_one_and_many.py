"""What is decided of one resource by its rows and by facts is what the search says of all at once."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hie import wiring
from hie.core.access import SYSTEM, Requester, Role
from hie.core.clock import SystemClock
from hie.core.errors import NotFoundError
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.conftest import fresh_database
from tests.hie.policy import city
from tests.hie.policy.test_roles import consent, observation

TYPES = ("Patient", "Encounter", "Observation", "Condition", "Composition", "Consent", "Organization", "Task")
NURSE = city.person(Role.CLINICIAN, practitioner="d-y", organization="h-x")
BOTH = city.person(Role.CITIZEN, Role.CLINICIAN, patient="y", practitioner="d-x", organization="h-x")
SCOPED = Requester(
    "person",
    "a-1",
    "app",
    city.CLINICIAN.roles,
    ("user/Observation.rs?date=ge2024-02-01", "patient/Condition.rs", "user/Patient.rs?gender=male"),
    "x",
    "d-x",
    "h-x",
)
REQUESTERS = {
    "citizen": city.CITIZEN,
    "doctor": city.CLINICIAN,
    "colleague": city.COLLEAGUE,
    "stranger": city.STRANGER,
    "pharmacist": city.PHARMACIST,
    "desk": city.DESK,
    "hospital": city.HOSPITAL,
    "officer": city.person(Role.PUBLIC_HEALTH_OFFICER, purpose="PUBHLTH"),
    "security officer": city.person(Role.SECURITY_OFFICER),
    "nurse": NURSE,
    "doctor who is a patient": BOTH,
    "application": SCOPED,
    "exchange": Requester("client", "his", scopes=("system/*.rs",)),
}


def _withheld() -> list[JsonObject]:
    """Return Consents: of x all that is sensitive of HIV from one hospital, of y Conditions from all."""
    hiv = {**consent({"type": "deny", "securityLabel": [city.HIV]}), "id": "n-x"}
    conditions = {
        "type": "deny",
        "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}],
    }
    return [hiv, {**consent(conditions), "id": "n-y", "patient": {"reference": "Patient/y"}}]


@pytest.fixture(scope="module", params=[False, True], ids=["no Consents", "Consents"])
def exchange(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[wiring.Exchange]:
    """The exchange under the real policy on a database that holds the city."""
    with ExitStack() as opened:
        url = opened.enter_context(fresh_database(server_url, template))
        settings = Settings(var_dir=Path(tmp_path_factory.mktemp("var")))
        policy = wiring.policy(settings, SystemClock())
        made = opened.enter_context(wiring.build(settings, database_url=url, access=policy))
        # Read by a colleague's reference, of two patients, and of nobody.
        task: JsonObject = {
            "resourceType": "Task",
            "id": "t-x",
            "status": "requested",
            "intent": "order",
            "for": {"reference": "Patient/x"},
        }
        nobody = {**observation("x", id="o-nobody"), "subject": {"display": "nobody"}}
        stored = [city.city(), city.put(task, nobody, *(_withheld() if request.param else ()))]
        with made.database.transaction() as transaction:
            for result in made.repository.transact(transaction, stored):
                assert result.error is None, result.error
        yield made


def _found(
    exchange: wiring.Exchange, who: Requester, resource_type: str, *query: tuple[str, str]
) -> set[str]:
    with exchange.database.reading(requester=who) as reading:
        page = exchange.repository.search(reading, resource_type, [*query, ("_count", "1000")])
    return {each.resource.id for each in page.entries if each.mode == "match"}


def _may_read(exchange: wiring.Exchange, who: Requester, resource_type: str, resource_id: str) -> bool:
    with exchange.database.reading(requester=who) as reading:
        try:
            exchange.repository.read(reading, resource_type, resource_id)
        except NotFoundError:
            return False
    return True


@pytest.mark.parametrize("who", REQUESTERS.values(), ids=REQUESTERS)
def test_a_read_shows_what_a_search_of_all_finds(exchange: wiring.Exchange, who: Requester) -> None:
    for kind in TYPES:
        stored = _found(exchange, SYSTEM, kind)
        # Twice: by facts that are asked, and by facts that are remembered.
        for _ in range(2):
            shown = {each for each in stored if _may_read(exchange, who, kind, each)}
            assert shown == _found(exchange, who, kind), kind


@pytest.mark.parametrize("who", REQUESTERS.values(), ids=REQUESTERS)
@pytest.mark.parametrize(
    ("kind", "name"),
    [("Observation", "patient"), ("Observation", "subject"), ("Condition", "patient"), ("Task", "patient")],
)
def test_a_search_in_one_record_finds_what_a_search_of_all_finds_of_it(
    exchange: wiring.Exchange, who: Requester, kind: str, name: str
) -> None:
    for patient in ("Patient/x", "Patient/y", "Patient/none"):
        of_it = _found(exchange, SYSTEM, kind, (name, patient))
        assert _found(exchange, who, kind, (name, patient)) == _found(exchange, who, kind) & of_it, patient


def test_a_refusal_is_not_remembered(exchange: wiring.Exchange) -> None:
    new = city.person(Role.CLINICIAN, practitioner="d-new", organization="h-new")
    assert not _may_read(exchange, new, "Observation", "o-x")
    visit = city.encounter("e-new", "x", **city.with_doctor("d-new"))
    with exchange.database.transaction() as transaction:
        exchange.repository.transact(transaction, [city.put(visit)])
    assert _may_read(exchange, new, "Observation", "o-x")


def test_what_follows_from_a_write_that_is_rolled_back_is_not_remembered(exchange: wiring.Exchange) -> None:
    hospital = Requester("client", "his-z", organization="h-late", scopes=("system/*.cruds",))
    visit = city.encounter("e-late", "x", **city.at("h-late"))
    with (
        pytest.raises(RuntimeError, match="undone"),
        exchange.database.transaction(requester=hospital) as transaction,
    ):
        (result,) = exchange.repository.transact(transaction, [city.put(visit)])
        assert result.error is None
        exchange.repository.read(transaction, "Observation", "o-x")
        raise RuntimeError("undone")
    assert not _may_read(exchange, hospital, "Observation", "o-x")
