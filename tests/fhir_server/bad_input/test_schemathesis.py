"""schemathesis (https://schemathesis.readthedocs.io) against our OpenAPI document, over HTTP.

It sends what the document allows and what it does not, and holds each answer against the document: no 5xx,
and every 4xx an OperationOutcome. It lives with the clients (`make clients`).
"""

import re
import subprocess
from pathlib import Path

import httpx

from tests.conftest import IS_FULL
from tests.fhir_server.clients.serving import INSTALLED, skip_or_fail

COMMAND = INSTALLED / "python" / "bin" / "schemathesis"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
SECONDS = 300 if IS_FULL else 20
# It always asks for this type and id first; what is there is read, changed, patched and deleted.
PRESENT = {"resourceType": "Account", "id": "0", "status": "active"}


def test_nothing_that_the_document_describes_meets_a_fault(base_url: str, tmp_path: Path) -> None:
    if not (INSTALLED / "python" / ".installed").is_file():
        skip_or_fail("schemathesis is not installed: `make clients`")
    httpx.put(f"{base_url}/Account/0", json=PRESENT).raise_for_status()
    done = subprocess.run(
        [
            COMMAND,
            "run",
            base_url.removesuffix("/fhir") + "/api/openapi.json",
            f"--checks={','.join(CHECKS)}",
            f"--max-time={SECONDS}",
            "--phases=coverage,fuzzing",
            "--exclude-path=/fhir/$import",  # it has no way to make NDJSON
            "--continue-on-failure",
            "--no-shrink",
            "--no-color",
            "--warnings=off",
            "--generation-database=none",
            *(() if IS_FULL else ("--seed=401",)),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS + 200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    cases = re.search(r"(\d+) generated", done.stdout)
    assert cases is not None, done.stdout[-3000:]
    assert int(cases[1]) > 100, "the document describes next to nothing"
