"""A de-identified export from proposal to report, and who is given none, under the real policy."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from uuid import UUID, uuid4

import pytest

from hie import app, wiring
from hie.core.access import SYSTEM, Requester, Role
from hie.core.clock import SystemClock
from hie.core.errors import ConflictError, ForbiddenError, NotFoundError, RequestError
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hie.core.settings import Settings
from tests.conftest import fresh_database
from tests.fhir_server.bad_input.api import Client
from tests.hie.policy.city import ANALYST, CLINICIAN, person, put
from tests.hie.policy.conftest import Known
from tests.hie.privacy.secrets import SECRETS, secret_record

BASE = "http://127.0.0.1:8000"
ASYNC = {"prefer": "respond-async", "accept": "application/fhir+json"}
OFFICER = person(Role.SECURITY_OFFICER, id="s-1")
HEALTH = person(Role.PUBLIC_HEALTH_OFFICER, id="h-1")
PEOPLE = 24
SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"


def people() -> list[JsonObject]:
    """Return Patients of two provinces, one of a third, and an Observation of each."""
    made: list[JsonObject] = []
    for number in range(PEOPLE):
        patient, *_ = secret_record(f"p{number}")
        patient |= {
            "gender": "male" if number % 2 else "female",
            "birthDate": f"{1980 + number % 3}-05-{number % 28 + 1:02}",
            "address": [
                {"state": "河南省" if number % 4 else "湖北省", "city": "某市", "line": [SECRETS[5]]}
            ],
        }
        if number == 0:
            patient |= {"birthDate": "1936-01-01", "gender": "other", "address": [{"state": "西藏自治区"}]}
        observation = {
            "resourceType": "Observation",
            "id": f"o{number}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
            "subject": {"reference": f"Patient/p{number}", "display": SECRETS[0]},
            "effectiveDateTime": "2024-03-01",
            "valueString": SECRETS[0],
        }
        made += [patient, observation]
    return [*made, *withholding(), GROUP]


def withholding() -> list[JsonObject]:
    """Return a Patient like others, who agrees to no research, with an Observation."""
    patient, *_ = secret_record("no")
    patient |= {"gender": "male", "birthDate": "1981-05-02", "address": [{"state": "河南省", "city": "某市"}]}
    return [
        patient,
        {
            "resourceType": "Observation",
            "id": "o-no",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
            "subject": {"reference": "Patient/no"},
        },
        {
            "resourceType": "Consent",
            "id": "k-no",
            "status": "active",
            "scope": {"coding": [{"system": SCOPES, "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": {"reference": "Patient/no"},
            "dateTime": "2026-01-01",
            "policyRule": {"text": "law"},
            "provision": {
                "type": "permit",
                "provision": [
                    {
                        "type": "deny",
                        "purpose": [
                            {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HRESCH"}
                        ],
                    }
                ],
            },
        },
    ]


GROUP: JsonObject = {
    "resourceType": "Group",
    "id": "half",
    "type": "person",
    "actual": True,
    "member": [{"entity": {"reference": f"Patient/p{number}"}} for number in range(1, PEOPLE, 2)],
}


class Site:
    """The application for whoever asks, its projects, and a worker."""

    def __init__(self, exchange: wiring.Exchange, opened: ExitStack) -> None:
        self.exchange = exchange
        self._opened = opened
        self._clients: dict[Requester, Client] = {}

    def client(self, requester: Requester) -> Client:
        """Return the client of somebody."""
        if requester not in self._clients:
            built = app.build(self.exchange)
            built.add_middleware(Known, requester=requester)
            self._clients[requester] = self._opened.enter_context(Client(built))
        return self._clients[requester]

    def propose(self, who: Requester = ANALYST, **given: Json) -> UUID:
        """Propose a project."""
        asked: dict[str, Json] = {
            "title": "Anaemia",
            "reason": "How many are anaemic",
            "purpose": "HRESCH",
            "roles": [Role.ANALYST],
            "k": 5,
            **given,
        }
        with self.exchange.database.transaction(requester=who) as transaction:
            return self.exchange.privacy.projects.propose(transaction, **asked)

    def approve(self, project: UUID, who: Requester = OFFICER) -> None:
        """Approve a project."""
        with self.exchange.database.transaction(requester=who) as transaction:
            self.exchange.privacy.projects.approve(transaction, project)

    def end(self, project: UUID, who: Requester = OFFICER) -> None:
        """End a project."""
        with self.exchange.database.transaction(requester=who) as transaction:
            self.exchange.privacy.projects.end(transaction, project)

    def begin(
        self, project: object, who: Requester = ANALYST, more: str = "", of: str = ""
    ) -> tuple[int, str, str]:
        """Return status, text and place of the job."""
        path = f"/fhir/{of}$de-identify?project={project}{more}"
        begun = self.client(who).request("GET", path, headers=ASYNC)
        return begun.status_code, begun.text, begun.headers.get("content-location", "").removeprefix(BASE)

    def work(self) -> None:
        """Do all jobs."""
        runner = self.exchange.job_runner()
        while runner.work_one():
            pass

    def export(
        self, project: UUID, more: str = "", of: str = ""
    ) -> tuple[int, Json, dict[str, list[JsonObject]], str]:
        """Return status and content of the job, resources by type, and all text."""
        status, text, place = self.begin(project, more=more, of=of)
        assert status == HTTPStatus.ACCEPTED, text
        self.work()
        answer = self.client(ANALYST).get(place)
        found: dict[str, list[JsonObject]] = {}
        whole = answer.text
        for each in answer.json().get("output", ()):
            file = self.client(ANALYST).get(each["url"].removeprefix(BASE))
            lines = [loads(line) for line in file.content.splitlines()]
            assert len(lines) == each["count"]
            found.setdefault(each["type"], []).extend(lines)
            whole += file.text
        return answer.status_code, answer.json(), found, whole


@pytest.fixture(scope="module")
def site(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as opened, fresh_database(server_url, template) as url:
        settings = Settings(var_dir=tmp_path_factory.mktemp("var"))
        policy = wiring.policy(settings, SystemClock())
        exchange = opened.enter_context(wiring.build(settings, database_url=url, access=policy))
        made = Site(exchange, opened)
        stored = made.client(SYSTEM).post("/fhir", dumps(put(*people())))
        assert stored.status_code == HTTPStatus.OK, stored.text
        yield made


@pytest.fixture(scope="module")
def approved(site: Site) -> UUID:
    project = site.propose()
    site.approve(project)
    return project


def parts(report: JsonObject) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for each in report["parameter"]:
        value = next((value for name, value in each.items() if name.startswith("value")), None)
        found[each["name"]] = parts({"parameter": each["part"]}) if value is None else value
    return found


def test_an_export_names_nobody_and_every_class_has_k(site: Site, approved: UUID) -> None:
    status, _, found, text = site.export(approved)
    assert status == HTTPStatus.OK
    assert [secret for secret in SECRETS if secret in text] == []
    classes = Counter(
        dumps([each.get(n) for n in ("gender", "birthDate", "address")]) for each in found["Patient"]
    )
    assert min(classes.values()) >= 5
    assert len(found["Patient"]) == PEOPLE - 1
    assert all(each["meta"]["security"][0]["code"] == "PSEUDED" for each in found["Patient"])
    patients = {f"Patient/{each['id']}" for each in found["Patient"]}
    assert {each["subject"]["reference"] for each in found["Observation"]} == patients
    assert all(each["effectiveDateTime"] == "2024" for each in found["Observation"])
    (report,) = found["Parameters"]
    told = parts(report)
    assert told["k"] == 5
    assert told["smallest-class"] == min(classes.values())
    assert told["patients"] == PEOPLE - 1
    assert told["patients-left-out"] == "fewer than 5"
    assert told["written"] == {"Observation": PEOPLE - 1, "Patient": PEOPLE - 1}


def test_within_a_project_pseudonyms_are_the_same_and_between_projects_unlinkable(
    site: Site, approved: UUID
) -> None:
    other = site.propose()
    site.approve(other)
    ids = [
        {each["id"] for each in site.export(project)[2]["Patient"]} for project in (approved, approved, other)
    ]
    assert ids[0] == ids[1]
    assert not ids[0] & ids[2]
    assert len(ids[2]) == PEOPLE - 1


def test_who_agrees_to_no_research_is_in_no_export_for_it_but_for_public_health(
    site: Site, approved: UUID
) -> None:
    research = {each["id"] for each in site.export(approved)[2]["Patient"]}
    assert len(research) == PEOPLE - 1
    health = site.propose(purpose="PUBHLTH")
    site.approve(health)
    assert len(site.export(health)[2]["Patient"]) == PEOPLE


def test_of_a_group_its_members_are_exported(site: Site, approved: UUID) -> None:
    _, _, found, _ = site.export(approved, of="Group/half/")
    whole = {each["id"] for each in site.export(approved)[2]["Patient"]}
    members = {each["id"] for each in found["Patient"]}
    assert len(members) == PEOPLE // 2
    assert members < whole
    assert {each["subject"]["reference"] for each in found["Observation"]} == {
        f"Patient/{n}" for n in members
    }


def test_an_export_that_cannot_be_anonymous_fails_and_gives_nothing(site: Site) -> None:
    project = site.propose(k=PEOPLE + 1)
    site.approve(project)
    status, outcome, found, _ = site.export(project)
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert outcome["issue"][0]["code"] == "suppressed"
    assert found == {}
    few = site.export(project, more="&_typeFilter=Patient%3F_id%3Dp1,Patient%3F_id%3Dp2")
    assert few[0] == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_filter_by_what_is_masked_is_refused(site: Site, approved: UUID) -> None:
    status, text, _ = site.begin(approved, more="&_typeFilter=Patient%3Fphone%3D13800001234")
    assert status == HTTPStatus.FORBIDDEN, text


@pytest.mark.parametrize("who", [CLINICIAN, OFFICER, HEALTH], ids=["clinician", "officer", "other role"])
def test_who_takes_no_part_is_given_nothing(site: Site, approved: UUID, who: Requester) -> None:
    status, text, _ = site.begin(approved, who)
    assert status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND), text


def test_what_is_not_approved_or_has_ended_is_given_nothing(site: Site) -> None:
    project = site.propose()
    assert site.begin(project)[0] == HTTPStatus.FORBIDDEN
    site.approve(project)
    status, text, place = site.begin(project)
    assert status == HTTPStatus.ACCEPTED, text
    site.end(project)
    site.work()  # the key is gone: what had begun gives nothing either
    assert site.client(ANALYST).get(place).status_code == HTTPStatus.FORBIDDEN
    assert site.begin(project)[0] == HTTPStatus.FORBIDDEN
    assert site.begin(uuid4())[0] == HTTPStatus.NOT_FOUND
    assert site.begin("none")[0] == HTTPStatus.NOT_FOUND


def test_a_project_needs_another_pair_of_eyes(site: Site) -> None:
    both = person(Role.ANALYST, Role.SECURITY_OFFICER, id="both")
    project = site.propose(both)
    with pytest.raises(ForbiddenError, match="proposed"):
        site.approve(project, both)
    with pytest.raises(ForbiddenError):
        site.approve(project, ANALYST)
    site.approve(project)
    with pytest.raises(ConflictError):
        site.approve(project)
    with pytest.raises(NotFoundError):
        site.approve(uuid4())
    with pytest.raises(ForbiddenError):
        site.propose(CLINICIAN)


@pytest.mark.parametrize(
    "given",
    [
        {"k": 4},
        {"purpose": "TREAT"},
        {"roles": [Role.CLINICIAN]},
        {"roles": []},
        {"title": " "},
        {"dates": "day"},
    ],
    ids=str,
)
def test_a_project_that_says_too_little_is_refused(site: Site, given: dict[str, Json]) -> None:
    with pytest.raises(RequestError):
        site.propose(**given)
