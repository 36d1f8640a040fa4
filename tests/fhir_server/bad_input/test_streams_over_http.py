"""Streams of broken requests over HTTP: no 5xx, every 4xx an OperationOutcome, and the server goes on.

What is sent is made from what is valid, one or several breaks away from it, so that most of it gets far.
"""

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.definitions.search_parameters import load_registry
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hie.core.fhir.xml_read import from_xml
from hie.core.fhir.xml_write import to_xml
from tests.conftest import IS_FULL
from tests.fhir_server.bad_input.api import OBSERVATION, PATIENT, STRUCTURE

# The server is one for all examples, and what they store stays.
STREAM = settings(
    max_examples=2_000 if IS_FULL else 150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
JSON = "application/fhir+json"
XML = "application/fhir+xml"
TYPES = ("Patient", "Observation", "Encounter", "Bundle", "Binary", "List", "ValueSet", "Foo", "patient", "")
VALID: tuple[JsonObject, ...] = (
    PATIENT,
    OBSERVATION | {"subject": {"reference": "Patient/p1"}, "valueQuantity": {"value": 1.50, "unit": "g"}},
    {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "period": {"start": "2024-01-01", "end": "2024-01-02T10:00:00+08:00"},
        "contained": [{"resourceType": "Location", "id": "l", "name": "病区"}],
        "location": [{"location": {"reference": "#l"}}],
    },
    {
        "resourceType": "Questionnaire",
        "status": "draft",
        "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "1.1", "type": "string"}]}],
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    },
)

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", " ", "\0", "\ud800", "a" * 70_000, "1" * 400, "9999-99-99", "http://", "#", "{}"]),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def http(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60) as client:
        stored = client.put(f"{base_url}/Patient/p1", content=dumps(PATIENT), headers={"content-type": JSON})
        assert stored.status_code == 201
        yield client
        assert client.get(f"{base_url}/Patient/p1").status_code in (200, 410)


def check(response: httpx.Response) -> None:
    """Hold an answer against what every answer must be."""
    assert response.status_code < 500, response.text[:2000]
    if response.request.method == "HEAD" or not response.content:
        assert response.status_code < 400 or response.request.method == "HEAD"
        return
    media_type = response.headers["content-type"].partition(";")[0]
    if response.status_code < 400:
        if media_type == JSON:  # which has no empty arrays: https://hl7.org/fhir/R4/json.html
            assert [] not in loads(response.content).values()
        return
    outcome = from_xml(response.content) if media_type == XML else loads(response.content)
    if "errors" in outcome:
        outcome = outcome["errors"][0]["extensions"]["resource"]
    assert outcome["resourceType"] == "OperationOutcome"
    assert STRUCTURE.validate(outcome) == []
    assert all(issue["diagnostics"] for issue in outcome["issue"])
    assert "Traceback" not in response.text


def encoded(value: Json) -> bytes:
    """Return JSON, also of lone surrogates, which UTF-8 does not have."""
    try:
        return dumps(value)
    except (TypeError, ValueError, UnicodeEncodeError):
        return repr(value).encode("utf-8", "surrogatepass")


def places(value: Json) -> list[tuple[Json, str | int]]:
    """Return every container of `value` with each of its keys."""
    found: list[tuple[Json, str | int]] = []
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        found += places(value[key])
    return found


@st.composite
def broken(draw: st.DrawFn) -> JsonObject:
    """A valid resource with one to three breaks."""
    resource: JsonObject = loads(dumps(draw(st.sampled_from(VALID))))
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(places(resource) or [(resource, "x")]))
        match draw(st.sampled_from(["replace", "remove", "wrap", "add"])):
            case "replace":
                container[key] = draw(anything)
            case "remove" if isinstance(container, dict):
                container.pop(key, None)
            case "wrap":
                container[key] = [container.get(key)] if isinstance(container, dict) else [container[key]]
            case _ if isinstance(container, dict):
                container[draw(st.sampled_from(["_name", "foo", "extension", "", "id", "_"]))] = draw(
                    anything
                )
    return resource


@STREAM
@given(
    resource=broken(),
    method=st.sampled_from(["POST", "PUT", "VALIDATE", "EVERY"]),
    kind=st.sampled_from(TYPES),
)
def test_broken_resources(
    base_url: str, http: httpx.Client, resource: JsonObject, method: str, kind: str
) -> None:
    own = resource.get("resourceType")
    named = own if method != "EVERY" and isinstance(own, str) and own.isalpha() else kind
    paths = {"POST": named, "PUT": f"{named}/p2", "VALIDATE": f"{named}/$validate", "EVERY": f"{named}/p2"}
    path = quote(paths[method], safe="/$")
    verb = "PUT" if method in ("PUT", "EVERY") else "POST"
    check(http.request(verb, f"{base_url}/{path}", content=encoded(resource), headers={"content-type": JSON}))


@STREAM
@given(data=st.data(), resource=st.sampled_from(VALID), is_xml=st.booleans())
def test_broken_bytes(
    base_url: str, http: httpx.Client, data: st.DataObject, resource: JsonObject, *, is_xml: bool
) -> None:
    content = bytearray(to_xml(resource) if is_xml else dumps(resource))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        junk = data.draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from(
                    [
                        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
                        b"&b;",
                        b"<a/>",
                        b"</",
                        b"]]>",
                        b"{",
                        b'"',
                        b"\\u0000",
                        b"<?x?>",
                    ]
                ),
            )
        )
        content[at : at + data.draw(st.integers(0, 6))] = junk
    headers = {"content-type": XML if is_xml else JSON, "accept": data.draw(st.sampled_from([XML, JSON]))}
    check(http.post(f"{base_url}/{resource['resourceType']}", content=bytes(content), headers=headers))


methods = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "get", "", 5, None])
urls = st.one_of(
    st.sampled_from(
        [
            *(
                "Patient",
                "Patient/p1",
                "Patient?name=x",
                "Patient?foo=bar",
                "Patient/p1/_history/1",
                "Foo/1",
                "",
            ),
            *(
                "Patient/$validate",
                "$everything",
                "Patient/p1/$everything?_count=0",
                "http://x/Patient/1",
                "?",
                "/",
            ),
            *(
                "Patient/p1/$graphql?query={",
                "Patient/../x",
                "Patient/%00",
                "metadata",
                "_history",
                "Patient/_search",
            ),
        ]
    ),
    texts,
)


@st.composite
def entries(draw: st.DrawFn) -> Json:
    """An entry of a Bundle, right in some of its parts."""
    request: JsonObject = {"method": draw(methods), "url": draw(urls)}
    for name in draw(st.sets(st.sampled_from(["ifMatch", "ifNoneExist", "ifNoneMatch", "ifModifiedSince"]))):
        request[name] = draw(anything)
    entry: JsonObject = {"request": draw(st.one_of(st.just(request), anything))}
    if draw(st.booleans()):
        entry["resource"] = draw(st.one_of(broken(), st.sampled_from(VALID), anything))
    if draw(st.booleans()):
        entry["fullUrl"] = draw(st.one_of(st.just("urn:uuid:c757873d-ec9a-4326-a141-556f43239520"), anything))
    return draw(st.one_of(st.just(entry), anything))


@STREAM
@given(
    kind=st.sampled_from(["transaction", "batch", "collection", None, 5]),
    given_entries=st.lists(entries(), max_size=4),
)
def test_broken_bundles(base_url: str, http: httpx.Client, kind: Json, given_entries: Json) -> None:
    bundle = {"resourceType": "Bundle", "type": kind, "entry": given_entries}
    response = http.post(base_url, content=encoded(bundle), headers={"content-type": JSON})
    check(response)
    if response.status_code == 200:
        for entry in response.json().get("entry", ()):
            assert entry["response"]["status"][:1] in "234", entry


codes = st.sampled_from(
    sorted({code for name in ("Patient", "Observation") for code in load_registry().of(name)})
)
modifiers = st.sampled_from(
    ["", ":exact", ":not", ":missing", ":Patient", ":in", ":below", ":identifier", ":foo", ":"]
)
names = st.one_of(
    st.tuples(codes, modifiers).map("".join),
    st.tuples(codes, modifiers, st.just("."), codes).map("".join),
    st.tuples(st.just("_has:Observation:"), codes, st.just(":"), codes).map("".join),
    st.sampled_from(
        ["_count", "_sort", "_include", "_revinclude", "_total", "_summary", "_elements", "_cursor"]
    ),
    st.sampled_from(
        ["_filter", "_list", "_text", "_content", "_type", "_contained", "_format", "_since", "_at"]
    ),
    st.text(max_size=6),
)
values = st.one_of(
    st.text(max_size=10),
    st.sampled_from(
        [
            *(
                "",
                ",",
                "|",
                "$",
                "\\",
                "a|b|c",
                "1||g",
                "ge2024-13-01",
                "ap1e400",
                "lt-",
                "2024-02-30T25:61",
                "*",
            ),
            *(
                "Patient/p1",
                "http://a/b|1",
                "name eq",
                "(a eq b) and",
                "Observation:subject:Patient",
                "-date,,_id",
            ),
            *(
                "\0",
                "9" * 300,
                "-1",
                "true,false",
                "ne5.40e-3|http://unitsofmeasure.org|mg",
                "%",
                "_lastUpdated",
            ),
        ]
    ),
)


@STREAM
@given(
    kind=st.sampled_from(["Patient", "Observation", "", "Patient/p1/Observation", "Patient/p1/*", "Foo"]),
    parameters=st.lists(st.tuples(names, values), min_size=1, max_size=4),
    strictness=st.sampled_from(["handling=strict", "handling=lenient", ""]),
    is_post=st.booleans(),
)
def test_broken_searches(
    base_url: str,
    http: httpx.Client,
    kind: str,
    parameters: list[tuple[str, str]],
    strictness: str,
    *,
    is_post: bool,
) -> None:
    query = "&".join(
        f"{quote(name, safe='', errors='ignore')}={quote(value, safe='', errors='ignore')}"
        for name, value in parameters
    )
    url = f"{base_url}/{kind}".rstrip("/")
    headers = {"prefer": strictness}
    if is_post:
        headers["content-type"] = "application/x-www-form-urlencoded"
        check(http.post(f"{url}/_search", content=query.encode(), headers=headers))
    else:
        check(http.get(f"{url}?{query}", headers=headers))


visible = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.strip)
headers_of = st.dictionaries(
    st.sampled_from(
        [
            *(
                "if-match",
                "if-none-match",
                "if-modified-since",
                "if-none-exist",
                "prefer",
                "accept",
                "content-type",
            ),
            *("content-encoding", "accept-encoding", "accept-charset", "range", "x-provenance", "origin"),
        ]
    ),
    st.one_of(
        visible,
        st.sampled_from(
            [
                *(
                    'W/"1"',
                    '"1"',
                    "*",
                    "respond-async",
                    "return=OperationOutcome",
                    "identifier=a|b",
                    "gzip",
                    "zstd",
                ),
                *(
                    "Mon, 99 Foo 2024",
                    "application/fhir+json; fhirVersion=5.0",
                    "text/turtle;q=1",
                    "*/*;q=x",
                    ";;",
                ),
                *("application/json-patch+json", "application/fhir+xml; charset=utf-16", "bytes=0-"),
            ]
        ),
    ),
    min_size=1,
    max_size=4,
)


@STREAM
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
    path=st.sampled_from(
        ["Patient/p1", "Patient", "Patient/p1/_history", "", "metadata", "$graphql", "Binary/x"]
    ),
    headers=headers_of,
    resource=st.sampled_from(VALID),
)
def test_broken_headers(
    base_url: str, http: httpx.Client, method: str, path: str, headers: dict[str, str], resource: JsonObject
) -> None:
    content = dumps(resource) if method in ("POST", "PUT", "PATCH") else None
    sent = {"content-type": JSON, **headers} if content is not None else headers
    check(http.request(method, f"{base_url}/{path}".rstrip("/"), content=content, headers=sent))


tokens = st.sampled_from(
    [
        *(
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
            ":",
            "...",
            "@",
            "$",
            "!",
            "query",
            "mutation",
            "fragment",
            "on",
            "Patient",
        ),
        *(
            "PatientList",
            "PatientConnection",
            "id",
            "name",
            "given",
            "resource",
            "edges",
            "_reference",
            "fhirpath",
        ),
        *("flatten", "slice", "path", "first", '"a.b("', "1", "-1.5e9", "true", "null", "#", '"', "__schema"),
    ]
)


@STREAM
@given(words=st.lists(tokens, max_size=25), place=st.sampled_from(["$graphql", "Patient/p1/$graphql"]))
def test_broken_graphql(base_url: str, http: httpx.Client, words: list[str], place: str) -> None:
    content = " ".join(words).encode()
    check(http.post(f"{base_url}/{place}", content=content, headers={"content-type": "application/graphql"}))


operations = st.fixed_dictionaries(
    {},
    optional={
        "op": st.one_of(st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), anything),
        "path": st.one_of(st.sampled_from(["/name/0", "/name/-", "/a/b", "", "/", "/~2", "/meta"]), anything),
        "from": st.one_of(st.sampled_from(["/name", "/x"]), anything),
        "value": anything,
    },
)


@STREAM
@given(patch=st.one_of(st.lists(operations, max_size=3), anything), is_json_patch=st.booleans())
def test_broken_patches(base_url: str, http: httpx.Client, patch: Json, *, is_json_patch: bool) -> None:
    http.put(f"{base_url}/Patient/p3", content=dumps({**PATIENT, "id": "p3"}), headers={"content-type": JSON})
    if is_json_patch:
        media_type, body = "application/json-patch+json", encoded(patch)
    else:
        parameters = [{"name": "operation", "part": patch}]
        media_type, body = JSON, encoded({"resourceType": "Parameters", "parameter": parameters})
    check(http.patch(f"{base_url}/Patient/p3", content=body, headers={"content-type": media_type}))
