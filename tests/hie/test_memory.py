"""A server process holds less than 300 MB, also behind a transaction of thousands of entries."""

import json
import time
from pathlib import Path

import httpx
import psutil

from hie.core.fhir.json import JsonObject
from tests.fhir_server.subscriptions.processes import free_port, running

ENTRIES = 9_000
PAGES = 5
MOST_BYTES = 300_000_000


def _observation(number: int) -> JsonObject:
    """Return an Observation as laboratories send it, of about 1 kB."""
    unit = {"unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"}
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "identifier": [{"system": "http://hie.example/sid/Observation", "value": f"o{number}"}],
        "status": "final",
        "category": [{"coding": [{"system": "http://hie.example/category", "code": "laboratory"}]}],
        "code": {
            "coding": [{"system": "http://loinc.org", "code": f"718-{number % 9}", "display": "Hemoglobin"}],
            "text": "血红蛋白",
        },
        "subject": {"reference": f"Patient/p{number // 20}"},
        "encounter": {"reference": f"Encounter/e{number // 10}"},
        "effectiveDateTime": f"2026-01-{number % 28 + 1:02d}T03:04:05+08:00",
        "performer": [{"reference": f"Practitioner/d{number % 50}", "display": f"检验科{number % 50}"}],
        "valueQuantity": {"value": 9 + number % 90 / 10, **unit},
        "interpretation": [{"coding": [{"system": "http://hie.example/interpretation", "code": "N"}]}],
        "referenceRange": [{"low": {"value": 12.0, **unit}, "high": {"value": 16.0, **unit}}],
        "note": [{"text": f"Measured again at {number}, without haemolysis"}],
    }


def _transaction() -> bytes:
    entries = [
        {"resource": _observation(number), "request": {"method": "PUT", "url": f"Observation/o{number}"}}
        for number in range(ENTRIES)
    ]
    whole = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    return json.dumps(whole, ensure_ascii=False).encode()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"{url}/metadata").is_success:
                return
        except httpx.TransportError:
            assert time.monotonic() < deadline
        time.sleep(0.2)


def _largest(process: psutil.Process) -> int:
    return max(int(each.memory_info().rss) for each in (process, *process.children(recursive=True)))


def test_server_process_holds_less_than_300_megabytes(tmp_path: Path, database_url: str) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}/fhir"
    settings = {"HIE_PORT": str(port), "HIE_STATEMENT_TIMEOUT_SECONDS": "120"}
    with running("serve", tmp_path, database_url, settings) as server, httpx.Client(timeout=240) as client:
        _wait_for(base)
        body = _transaction()
        assert len(body) > 8_000_000
        stored = client.post(base, content=body, headers={"content-type": "application/fhir+json"})
        assert stored.status_code == 200, stored.text[:1000]
        assert len(stored.json()["entry"]) == ENTRIES
        url = f"{base}/Observation?_count=1000"
        for _ in range(PAGES):
            page = client.get(url).json()
            assert len(page["entry"]) == 1000
            (url,) = [each["url"] for each in page["link"] if each["relation"] == "next"]
        process = psutil.Process(server.pid)
        # Memory is given back behind the answer.
        deadline = time.monotonic() + 15
        while _largest(process) >= MOST_BYTES and time.monotonic() < deadline:
            time.sleep(0.2)
        assert _largest(process) < MOST_BYTES
        process.terminate()
