"""What a resource carries in itself: Binary and Attachment, wherever they stand."""

from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.attachments.contents import Content, contents_of
from hie.core.fhir.json import JsonObject


def _of(resource: JsonObject) -> set[str]:
    return {each.expression for each in contents_of(resource)}


def test_binary_attachments_extensions_and_contained_resources_are_found() -> None:
    attachment = {"contentType": "text/plain", "data": "eA=="}
    resource = {
        "resourceType": "DocumentReference",
        "contained": [{"resourceType": "Binary", "contentType": "image/png", "data": "eA=="}],
        "extension": [{"url": "http://x", "valueAttachment": {"title": "x", "data": "eA=="}}],
        "content": [
            {"attachment": attachment},
            {"attachment": {"url": "http://x/1"}},
            {"attachment": attachment},
        ],
    }
    assert _of(resource) == {
        "DocumentReference.contained[0].data",
        "DocumentReference.extension[0].valueAttachment.data",
        "DocumentReference.content[0].attachment.data",
        "DocumentReference.content[2].attachment.data",
    }


def test_entries_of_a_bundle_that_is_stored_are_looked_into() -> None:
    entry = {"resource": {"resourceType": "Patient", "photo": [{"data": "eA=="}]}}
    assert _of({"resourceType": "Bundle", "entry": [entry]}) == {"Bundle.entry[0].resource.photo[0].data"}


def test_data_of_other_types_is_none() -> None:
    sampled = {"origin": {"value": 0}, "period": 1, "dimensions": 1, "data": "1 2 3"}
    signature = {"type": [], "when": "2026-01-01T00:00:00Z", "who": {}, "data": "eA=="}
    consent = {"provision": {"data": [{"meaning": "instance"}]}}
    assert (
        _of({"resourceType": "Observation", "valueSampledData": sampled, "x": signature, "y": consent})
        == set()
    )


@given(
    st.binary(max_size=300), st.integers(1, 200), st.sampled_from(["", "\n", " " * 1000]), st.integers(1, 76)
)
def test_head_is_the_beginning_of_all(content: bytes, size: int, space: str, width: int) -> None:
    text = b64encode(content).decode()
    lines = space.join(text[begin : begin + width] for begin in range(0, len(text), width))
    read = Content(lines, "", "")
    assert read.all() == content
    assert read.head(size) == content[:size]
    assert len(content) <= read.most_bytes


def test_text_that_is_no_base64_has_no_bytes() -> None:
    assert Content("%", "", "").all() == b""
    assert Content("a", "", "").head(10) == b""
