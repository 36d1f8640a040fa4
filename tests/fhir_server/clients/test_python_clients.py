"""FHIR clients of other people from PyPI, unmodified, against a served exchange.

They have an environment of their own (`make clients`), for they need other versions of what we use.
"""

import subprocess
from pathlib import Path

import pytest

from tests.fhir_server.clients.serving import INSTALLED, skip_or_fail

HERE = Path(__file__).parent
PYTHON = INSTALLED / "python" / "bin" / "python"


@pytest.mark.parametrize("client", ["fhirpy", "fhirclient", "fhir_kindling", "fhir_pyrate"])
def test_it_does_its_crud_search_and_paging(client: str, base_url: str) -> None:
    if not (INSTALLED / "python" / ".installed").is_file():
        skip_or_fail("the clients from PyPI are not installed: `make clients`")
    script = HERE / "python" / f"{client}_client.py"
    done = subprocess.run(
        [PYTHON, "-W", "ignore", script, base_url], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
