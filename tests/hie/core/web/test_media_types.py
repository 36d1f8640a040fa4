"""Accept, `_format` and content types (https://hl7.org/fhir/R4/http.html#mime-type, RFC 9110)."""

import pytest
from starlette.requests import Request

from hie.core.errors import NotAcceptableError, UnsupportedMediaTypeError
from hie.core.web.media_types import accepted, body_format, remember_form, wanted, wants_content


def asked(query: str = "", *accept: str) -> Request:
    headers = [(b"accept", value.encode()) for value in accept]
    return Request({"type": "http", "query_string": query.encode(), "headers": headers})


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/fhir+json", "json"),
        ("application/fhir+xml", "xml"),
        ("text/xml", "xml"),
        ("*/*", "json"),
        ("application/*", "json"),
        ("application/fhir+xml;q=0.9, application/fhir+json;q=0.8", "xml"),
        ("application/fhir+xml;q=0.8, application/fhir+json", "json"),
        ("application/fhir+xml, application/fhir+json", "xml"),
        ("application/fhir+json, application/fhir+xml", "json"),
        ("application/fhir+xml, */*", "xml"),
        ("*/*, application/fhir+xml;q=0.5", "json"),
        ("application/fhir+json;q=0, */*;q=0.1", "json"),  # application/json is left
        ("application/xml+fhir", "xml"),
        ("APPLICATION/FHIR+XML", "xml"),
        ('application/fhir+xml; fhirVersion="4.0"', "xml"),
        ("application/fhir+xml; fhirVersion=5.0, application/fhir+json; fhirVersion=4.0", "json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", "html"),
        ("text/turtle, application/fhir+xml;q=0.2", "xml"),
        ("text/turtle", None),
        ("application/fhir+json;q=0", None),
        ("application/fhir+json; fhirVersion=5.0", None),
        ("image/png", None),
        ("application/fhir+json;q=high", None),
    ],
)
def test_accept_is_negotiated(accept: str, expected: str | None) -> None:
    assert accepted(accept) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_format=json", ("json", False)),
        ("_format=application/fhir+json", ("json", False)),  # the `+` arrives as a space
        ("_format=application%2Ffhir%2Bxml%3BfhirVersion%3D4.0", ("xml", False)),
        ("_format=xml&_pretty=true", ("xml", True)),
        ("_format=text/xml", ("xml", False)),
        ("_format=html", ("json", True)),
        ("_format=", ("xml", False)),  # an empty parameter is none
        ("_pretty=false", ("xml", False)),
        ("", ("xml", False)),
    ],
)
def test_format_goes_before_accept(query: str, expected: tuple[str, bool]) -> None:
    assert wanted(asked(query, "application/fhir+xml")) == expected


@pytest.mark.parametrize("query", ["_format=ttl", "_format=text/turtle", "_format=json;fhirVersion=3.0"])
def test_unknown_format_is_not_acceptable(query: str) -> None:
    with pytest.raises(NotAcceptableError) as error:
        wanted(asked(query))
    assert error.value.expression == "_format"


def test_accept_headers_count_together() -> None:
    assert wanted(asked("", "text/turtle", "application/fhir+xml")) == ("xml", False)
    assert wanted(asked()) == ("json", False)


def test_format_of_a_form_counts_for_the_answer() -> None:
    request = asked()
    assert wanted(request) == ("json", False)
    remember_form(request, {"_format": "xml", "_pretty": "true"})
    assert wanted(request) == ("xml", True)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/fhir+json", "json"),
        ("application/json; charset=UTF-8", "json"),
        ("application/fhir+xml; fhirVersion=4.0", "xml"),
        ('text/xml; charset="utf-8"', "xml"),
    ],
)
def test_content_type_names_the_format(content_type: str, expected: str) -> None:
    assert body_format(content_type) == expected


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "json",
        "text/html",
        "text/turtle",
        "application/x-www-form-urlencoded",
        "application/fhir+json; charset=gb18030",
        "application/fhir+xml; fhirVersion=5.0",
    ],
)
def test_other_content_types_are_not_supported(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        body_format(content_type)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", True),
        ("*/*", True),
        ("*/*;q=0.8", True),
        ("*/*;q=0", False),
        ("application/fhir+json", False),
        ("application/fhir+xml, */*", False),
        ("application/json, text/plain, */*", False),
        ("image/png", True),
        ("image/*", True),
        ("image/*, application/fhir+json", False),
        ("image/png, application/fhir+json;q=0.5", True),
        ("image/png;q=0.5, application/fhir+json", False),
        ("image/jpeg", False),
        ("image/png;q=0, */*", False),
        ("image/avif,image/webp,*/*;q=0.8", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
    ],
)
def test_content_of_a_binary_is_negotiated(accept: str, *, expected: bool) -> None:
    assert wants_content(asked("", accept), "image/png") is expected


def test_content_that_is_xml_itself_is_asked_for_by_its_own_type() -> None:
    assert wants_content(asked("", "application/xml"), "application/xml")
