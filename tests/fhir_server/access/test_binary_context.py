"""A Binary is read by those who may read its security context (https://hl7.org/fhir/R4/binary.html#context)."""

from dataclasses import dataclass

import pytest

from hie.core.access import EVERYTHING, Permissive, Readable, Requester
from hie.core.fhir.json import dumps
from tests.fhir_server.access.conftest import Under
from tests.fhir_server.access.policies import OnePatient


@dataclass(frozen=True)
class OnePatientAndBinaries(OnePatient):
    """The policy says nothing of Binary itself."""

    def readable(self, requester: Requester, resource_type: str) -> Readable:
        """Return what may be read."""
        return EVERYTHING if resource_type == "Binary" else super().readable(requester, resource_type)


@pytest.mark.parametrize("accept", ["text/plain", "application/fhir+json"])
def test_binary_is_as_readable_as_its_security_context(under: Under, accept: str) -> None:
    everybody = under(Permissive())
    contexts = {
        "mine": "Patient/x",
        "other": "Patient/y",
        "gone": "Patient/z",
        "abroad": "http://a.example/Patient/y",
    }
    for name, reference in contexts.items():
        binary = {
            "resourceType": "Binary",
            "id": name,
            "contentType": "text/plain",
            "securityContext": {"reference": reference},
            "data": "YQ==",
        }
        headers = {"content-type": "application/fhir+json"}
        assert everybody.request(
            "PUT", f"/fhir/Binary/{name}", content=dumps(binary), headers=headers
        ).is_success
        assert everybody.request("GET", f"/fhir/Binary/{name}", headers={"accept": accept}).status_code == 200
    one = under(OnePatientAndBinaries("x"))
    found = {
        name: one.request("GET", f"/fhir/Binary/{name}", headers={"accept": accept}).status_code
        for name in contexts
    }
    assert found == {"mine": 200, "other": 404, "gone": 404, "abroad": 200}
