"""$reindex as a job: a SearchParameter stored later finds what was stored before."""

from fhir_server.bulk.reindex import KIND, Reindex
from fhir_server.jobs.job import Step, Work
from fhir_server.search.reindex import Reindexer
from hie.core.fhir.json import JsonObject, dumps, loads
from tests.fhir_server.bulk.server import Bulk

PATIENTS = 700

NICKNAME: JsonObject = {
    "resourceType": "SearchParameter",
    "id": "nickname",
    "url": "http://example.org/fhir/SearchParameter/nickname",
    "name": "nickname",
    "status": "active",
    "description": "A nickname",
    "code": "nickname",
    "base": ["Patient"],
    "type": "string",
    "expression": "Patient.name.where(use='nickname').text",
}


def _store(bulk: Bulk) -> None:
    entries = [
        {
            "resource": {
                "resourceType": "Patient",
                "id": f"p{number}",
                "name": [{"use": "nickname", "text": f"n{number}"}],
            },
            "request": {"method": "PUT", "url": f"Patient/p{number}"},
        }
        for number in range(PATIENTS)
    ]
    body = dumps({"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert bulk.client.post("", content=body).status_code == 200


def _found(bulk: Bulk) -> list[str]:
    answer = loads(bulk.client.get("Patient?nickname=n69").content)
    return sorted(each["resource"]["id"] for each in answer["entry"] if each["search"]["mode"] == "match")


class _Stopping:
    """A reindex that does one batch a step, each step twice."""

    def __init__(self, reindexer: Reindexer) -> None:
        self.reindex = Reindex(reindexer, step_seconds=0)
        self.steps = 0

    def step(self, work: Work) -> Step:
        """Do the step twice, as if a worker had died before it saved the first."""
        self.steps += 1
        self.reindex.step(work)
        return self.reindex.step(work)


def test_reindex_makes_a_new_parameter_find_what_was_stored_before(bulk: Bulk) -> None:
    _store(bulk)
    bulk.put(NICKNAME)
    search = bulk.exchange.search
    twice = _Stopping(Reindexer(search.indexer, search.stored_parameters))
    bulk.kinds[KIND] = twice
    kicked_off = bulk.client.post(
        "$reindex",
        content=dumps(
            {"resourceType": "Parameters", "parameter": [{"name": "url", "valueUri": NICKNAME["url"]}]}
        ),
    )
    manifest = bulk.finish(kicked_off)
    assert manifest["count"] == PATIENTS
    assert twice.steps > 2
    assert _found(bulk) == [f"p{number}" for number in (69, *range(690, 700))]
    with bulk.exchange.database.transaction() as transaction:
        rows = transaction.connection.execute(
            "SELECT count(*), count(DISTINCT rid) FROM ix_string WHERE norm LIKE 'n6%%' GROUP BY param"
        ).fetchall()
    assert {each[0] == each[1] for each in rows} == {True}, "no row twice"


def test_reindex_of_a_type_is_answered_with_202_and_worked(bulk: Bulk) -> None:
    bulk.put({"resourceType": "Patient", "id": "p1"})
    kicked_off = bulk.client.post("Patient/$reindex")
    assert bulk.finish(kicked_off)["count"] == 1


def test_reindex_names_the_parameters_that_find_nothing(bulk: Bulk) -> None:
    unknown = "http://example.org/fhir/SearchParameter/nowhere"
    components = [{"definition": unknown, "expression": "text"} for _ in range(2)]
    bulk.put({**NICKNAME, "type": "composite", "expression": "Patient.name", "component": components})
    bulk.put({"resourceType": "Patient", "id": "p1"})
    manifest = bulk.finish(bulk.client.post("$reindex"))
    (outcome,) = bulk.lines(manifest, "error")
    assert outcome["issue"] == [
        {
            "severity": "error",
            "code": "not-supported",
            "diagnostics": "No search of Patient can go by `nickname`: has a component that is no search"
            " parameter of the type",
            "expression": ["Patient.nickname"],
        }
    ]


def test_reindex_makes_contained_resources_found(bulk: Bulk) -> None:
    contained = [{"resourceType": "Patient", "id": name, "gender": "male"} for name in ("a", "b")]
    bulk.put(
        {
            "resourceType": "Observation",
            "id": "o",
            "status": "final",
            "code": {"text": "x"},
            "contained": contained,
            "subject": {"reference": "#a"},
            "focus": [{"reference": "#b"}],
        }
    )
    with bulk.exchange.database.transaction() as transaction:
        for table in ("contained", "ix_token"):
            transaction.connection.execute(f"DELETE FROM {table} WHERE rid < 0")  # noqa: S608 - our tables
    query = "Patient?gender=male&_contained=true&_containedType=contained"
    assert loads(bulk.client.get(query).content)["total"] == 0
    for _ in range(2):
        assert bulk.finish(bulk.client.post("Observation/$reindex"))["count"] == 1
        assert loads(bulk.client.get(query).content)["total"] == 2


def test_reindex_of_what_is_not_there_is_refused(bulk: Bulk) -> None:
    for parameter in (
        {"name": "type", "valueCode": "Dragon"},
        {"name": "url", "valueUri": "http://nowhere.example/x"},
    ):
        body = {"resourceType": "Parameters", "parameter": [parameter]}
        answer = bulk.client.post("$reindex", content=dumps(body))
        assert answer.status_code in (400, 404)
        assert loads(answer.content)["issue"][0]["expression"]
