"""Names in addresses that climb out of their folder: static files and files of jobs. CWE-22."""

from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest

from hie import app, wiring
from hie.core.settings import Settings
from tests.conftest import fresh_database
from tests.fhir_server.interactions.client import Client

SECRET = "what-no-answer-holds"  # noqa: S105 - the text of a file
CLIMBING = [
    "../secret.txt",
    "../../secret.txt",
    "..\\secret.txt",
    "....//secret.txt",
    "./../secret.txt",
    "%2e%2e/secret.txt",
    "Patient.ndjson/../../secret.txt",
    "secret.txt\0.ndjson",
    "/etc/passwd",
    "file:///etc/passwd",
    "~root",
]


@pytest.fixture(scope="module")
def finished(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Client, str]]:
    """A client, and the path of a finished export, with a secret beside its folder and above."""
    folder = tmp_path_factory.mktemp("jobs")
    settings = Settings(auth="off", job_folder=folder)
    with (
        fresh_database(server_url, template) as url,
        wiring.build(settings, database_url=url) as exchange,
    ):
        client = Client(app.build(exchange))
        assert client.put("Patient/p", json={"resourceType": "Patient", "id": "p"}).status_code == 201
        begun = client.get("$export", headers={"Prefer": "respond-async", "Accept": "application/fhir+json"})
        assert begun.status_code == 202, begun.text
        runner = exchange.job_runner()
        while runner.work_one():
            pass
        for place in (folder, *folder.iterdir()):
            (place / "secret.txt").write_text(SECRET, encoding="utf-8")
        yield client, urlsplit(begun.headers["content-location"]).path.removeprefix("/fhir/")


def test_file_of_a_job_is_one_that_its_output_lists(finished: tuple[Client, str]) -> None:
    client, job = finished
    listed = [each["url"] for each in client.get(job).json()["output"]]
    assert client.get(listed[0]).status_code == 200
    for name in (*CLIMBING, "secret.txt"):
        for written in (name, quote(name, safe=""), quote(quote(name, safe=""), safe="")):
            answer = client.get(f"{job}/{written.replace(chr(0), '%00')}")
            assert SECRET not in answer.text, written
            assert "root:" not in answer.text, written
            assert answer.status_code in (200, 400, 404), written
            assert answer.status_code != 200 or answer.headers["content-type"] == "application/json", written


def test_static_file_is_one_of_the_package(finished: tuple[Client, str]) -> None:
    client, _ = finished
    for name in (*CLIMBING, "../templates/page.html", "../static_files.py", "style.css/../../router.py"):
        for written in (name, quote(name, safe=""), quote(quote(name, safe=""), safe="")):
            answer = client.get(f"http://127.0.0.1:8000/static/{written.replace(chr(0), '%00')}")
            assert answer.status_code in (303, 404, 405), written
            assert "root:" not in answer.text, written
            assert "import " not in answer.text, written
