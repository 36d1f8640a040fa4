"""No patient's data in logs or metrics: names, numbers and addresses that are nowhere else are sent through.

By HL7 v2 and FHIR, in what is stored, refused, not found and badly written, with every line logged.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx

NAME = "金丝雀甲"
FAMILY = "Kanarienvogel"
NUMBER = "410102198003071231"
PHONE = "13900008731"
STREET = "丝雀路八十七号"
CANARIES = (NAME, FAMILY, NUMBER, PHONE, STREET, quote(NAME), quote(STREET), json.dumps(NAME).strip('"'))

ADT = (
    "MSH|^~\\&|HIS|H1|HIE|CITY|20261122083000||{type}|{id}|P|2.5|||||CHN|UNICODE UTF-8\r"
    "EVN|A01|20261122083000\r"
    f"PID|1||{NUMBER}^^^H1^MR||{NAME}^{FAMILY}||{{birth}}|M|||{STREET}^^郑州||{PHONE}\r"
    "PV1|1|I|内科^301^02||||||||||||||||V1\r"
    f"NK1|1|{NAME}^{FAMILY}|FTH|{STREET}|{PHONE}\r"
)
PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:oid:2.16.156.1", "value": NUMBER}],
    "name": [{"family": FAMILY, "text": NAME}],
    "telecom": [{"system": "phone", "value": PHONE}],
    "address": [{"line": [STREET]}],
    "gender": "male",
}


@contextmanager
def running(command: str, log: Path, environment: dict[str, str], port: int) -> Iterator[None]:
    """Run `hie` with a command, logging into `log`, once it listens."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "hie", command], env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        end = time.monotonic() + 90
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_nothing_of_a_patient_stands_in_logs_or_metrics(database_url: str, tmp_path: Path) -> None:
    http_port, mllp_port = free_port(), free_port()
    environment = {
        **os.environ,
        "HIE_DATABASE_URL": database_url,
        "HIE_LOG_LEVEL": "DEBUG",
        "HIE_PORT": str(http_port),
        "HIE_MLLP_PORT": str(mllp_port),
        "HIE_GATEWAY_PROCESSES": "1",
        "HIE_VAR_DIR": str(tmp_path / "var"),
        "HIE_AUDIT_FOLDER": str(tmp_path / "audit"),
    }
    serve, gateway = tmp_path / "serve.log", tmp_path / "gateway.log"
    with (
        running("serve", serve, environment, http_port),
        running("gateway", gateway, environment, mllp_port),
    ):
        told = messages(tmp_path, mllp_port, environment)
        stored = requests(f"http://127.0.0.1:{http_port}")
        metrics = httpx.get(f"http://127.0.0.1:{http_port}/metrics").text
    assert told.count("AA") >= 1, told
    assert stored == 2
    logged = {"serve": serve.read_text(), "gateway": gateway.read_text(), "metrics": metrics}
    assert "DEBUG" in logged["serve"] + logged["gateway"]
    found = {(name, canary) for name, text in logged.items() for canary in CANARIES if canary in text}
    assert found == set()


def messages(folder: Path, port: int, environment: dict[str, str]) -> str:
    """Send one message that is taken and several that are not; return what the sender was told."""
    told = ""
    for number, (kind, birth) in enumerate(
        (("ADT^A01^ADT_A01", "19800307"), ("ADT^A01^ADT_A01", NAME), (f"{FAMILY}^A01", "1980"), ("", "x"))
    ):
        path = folder / f"{number}.hl7"
        path.write_text(ADT.format(type=kind, id=f"C{number}", birth=birth))
        done = subprocess.run(
            [sys.executable, "-m", "hie", "send", str(path), "--to", f"127.0.0.1:{port}"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        told += done.stdout + done.stderr
    return told


def requests(server: str) -> int:
    """Send good and bad requests; return how many resources were created."""
    created = 0
    wrong = {**PATIENT, "gender": NAME, "birthDate": NUMBER}
    with httpx.Client(base_url=f"{server}/fhir", headers={"Content-Type": "application/fhir+json"}) as client:
        for body in (PATIENT, wrong, {**PATIENT, "resourceType": FAMILY}, {**PATIENT, "id": STREET}):
            answer = client.post("/Patient", content=json.dumps(body, ensure_ascii=False))
            created += answer.status_code == 201
        client.post("/Patient", content=f'{{"resourceType":"Patient","name":"{NAME}"')
        header = {"If-None-Exist": f"identifier={NUMBER}&family={FAMILY}"}
        client.post("/Patient", content=json.dumps(PATIENT), headers=header)
        for method, path in (
            ("GET", f"/Patient?name={quote(NAME)}&identifier={NUMBER}"),
            ("GET", f"/Patient?birthdate={quote(NAME)}"),
            ("GET", f"/Patient?{FAMILY}={PHONE}"),
            ("GET", f"/Patient/{FAMILY}"),
            ("GET", f"/{FAMILY}/1"),
            ("DELETE", f"/Patient?phone={PHONE}"),
            ("GET", f"/$graphql?query={quote(f'{{ PatientList(name: {NAME}) {{ id }} }}')}"),
            ("GET", f"/Patient?_filter={quote(f'name eq {STREET}')}"),
        ):
            client.request(method, path)
        entry = {"resource": PATIENT, "request": {"method": "PUT", "url": f"Patient/{FAMILY}"}}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry, {"resource": wrong}]}
        client.post("/", content=json.dumps(bundle))
        answer = client.put(f"/Patient/{FAMILY}", content=json.dumps({**PATIENT, "id": FAMILY}))
        created += answer.status_code == 201
    return created
