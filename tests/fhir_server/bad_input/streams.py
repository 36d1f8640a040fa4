"""What is sent in streams: valid things, one or several breaks away from being so."""

from hypothesis import strategies as st

from fhir_server.definitions.search_parameters import load_registry
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from tests.fhir_server.bad_input.api import OBSERVATION, PATIENT

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


operations = st.fixed_dictionaries(
    {},
    optional={
        "op": st.one_of(st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), anything),
        "path": st.one_of(st.sampled_from(["/name/0", "/name/-", "/a/b", "", "/", "/~2", "/meta"]), anything),
        "from": st.one_of(st.sampled_from(["/name", "/x"]), anything),
        "value": anything,
    },
)
