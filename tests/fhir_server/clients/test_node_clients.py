"""FHIR clients of other people from npm, unmodified, against a served exchange.

They stand in a folder of their own (`make clients`), where their scripts are copied to find them.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fhir_server.clients.serving import INSTALLED, skip_or_fail

HERE = Path(__file__).parent
FOLDER = INSTALLED / "node"
# @medplum/core asks for the WebSocket that Node has from 22 on; 20 has it behind this flag.
FIRST_WITH_WEBSOCKET = 22


def node() -> list[str]:
    """Return the command that runs a script; skips where there is no Node."""
    command = shutil.which("node")
    if command is None:
        pytest.skip("Node is not installed")
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    major = int(version.removeprefix("v").partition(".")[0])
    return [command] if major >= FIRST_WITH_WEBSOCKET else [command, "--experimental-websocket"]


@pytest.mark.parametrize("client", ["fhir_kit", "fhirclient", "medplum"])
def test_it_does_its_crud_search_paging_and_bulk(client: str, base_url: str) -> None:
    command = node()
    if not (FOLDER / ".installed").is_file():
        skip_or_fail("the clients from npm are not installed: `make clients`")
    script = shutil.copy(HERE / "node" / f"{client}_client.mjs", FOLDER)
    done = subprocess.run(
        [*command, script, base_url], cwd=FOLDER, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
