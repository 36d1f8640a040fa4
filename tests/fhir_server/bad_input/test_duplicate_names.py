"""Names in a JSON object are unique, else nothing says which value is meant: https://hl7.org/fhir/R4/json.html."""

import pytest

from tests.fhir_server.bad_input.api import Client, Rows, issues_of

TWICE = {
    "of the resource": b'{"resourceType":"Patient","gender":"male","gender":"female"}',
    "of an element": b'{"resourceType":"Patient","name":[{"family":"a","family":"a"}]}',
    "escaped": b'{"resourceType":"Patient","gender":"male","g\\u0065nder":"male"}',
    "with a decimal": b'{"resourceType":"Patient","extension":[{"url":"a","valueDecimal":1.10,"url":"b"}]}',
    "indented": b'{ "resourceType" : "Patient", "gender" : "male",\n "gender" : "male" }',
}


@pytest.mark.parametrize("text", TWICE.values(), ids=TWICE.keys())
def test_a_name_given_twice_is_refused(client: Client, rows: Rows, text: bytes) -> None:
    before = rows()
    response = client.post("/fhir/Patient", text)
    assert response.status_code == 400
    assert [code for code, _ in issues_of(response)] == ["structure"]
    assert rows() == before
