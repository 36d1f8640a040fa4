"""Extensions: as their definitions say, where these are known."""

from hie.core.fhir.json import Json, JsonObject
from tests.fhir_server.validation.profile.profiles import BASE, Known, element, resource, structure


def extension(
    name: str, *elements: JsonObject, context: tuple[str, ...] = ("Element",), **parts: Json
) -> JsonObject:
    contexts = [{"type": "element", "expression": expression} for expression in context]
    url = element("Extension.url", fixedUri=f"{BASE}/{name}")
    return structure(name, "Extension", url, *elements, context=contexts, **parts)


SIMPLE = extension(
    "simple",
    element("Extension.extension", max="0"),
    element("Extension.value[x]", min=1, type=[{"code": "string"}]),
)


def patient(*extensions: JsonObject, **parts: Json) -> JsonObject:
    own = {"extension": list(extensions)} if extensions else {}
    return resource("Patient", **own, **parts)


def test_a_known_extension_is_checked_wherever_it_stands() -> None:
    known = Known(SIMPLE)
    good, bad = {"url": f"{BASE}/simple", "valueString": "a"}, {"url": f"{BASE}/simple", "valueInteger": 1}
    name = {"text": "a", "extension": [bad]}
    birth = {"extension": [bad]}
    checked = patient(good, bad, name=[name], birthDate="2024-01-01", _birthDate=birth)
    assert known.findings(checked, profiles=[]) == [
        ("error", "structure", "Patient.extension[1].value.ofType(integer)"),
        ("error", "structure", "Patient.name[0].extension[0].value.ofType(integer)"),
        ("error", "structure", "Patient.birthDate.extension[0].value.ofType(integer)"),
    ]


def test_an_unknown_extension_is_no_finding_and_an_unknown_modifier_is_a_warning() -> None:
    known = Known(SIMPLE)
    unknown = {"url": f"{BASE}/unknown", "valueString": "a"}
    assert known.findings(patient(unknown), profiles=[]) == []
    assert known.findings(resource("Patient", modifierExtension=[unknown]), profiles=[]) == [
        ("warning", "extension", "Patient.modifierExtension[0]")
    ]


def test_a_modifier_extension_stands_among_modifier_extensions_and_no_other_does() -> None:
    modifier = extension("modifier", context=("Patient",))
    modifier["differential"]["element"][0].update(isModifier=True, isModifierReason="a")
    known = Known(modifier, SIMPLE)
    changing, plain = (
        {"url": f"{BASE}/modifier", "valueBoolean": True},
        {"url": f"{BASE}/simple", "valueString": "a"},
    )
    assert (
        known.findings(resource("Patient", modifierExtension=[changing], extension=[plain]), profiles=[])
        == []
    )
    assert known.findings(
        resource("Patient", modifierExtension=[plain], extension=[changing]), profiles=[]
    ) == [
        ("error", "extension", "Patient.modifierExtension[0]"),
        ("error", "extension", "Patient.extension[0]"),
    ]


def test_an_extension_stands_only_in_its_context() -> None:
    simple: JsonObject = {"valueString": "a"}
    places = {
        "Patient": patient({**simple, "url": f"{BASE}/here"}),
        "HumanName": patient(name=[{"extension": [{**simple, "url": f"{BASE}/here"}]}]),
        "Patient.contact": patient(
            contact=[{"name": {"text": "a"}, "extension": [{**simple, "url": f"{BASE}/here"}]}]
        ),
        "Patient.birthDate": patient(_birthDate={"extension": [{**simple, "url": f"{BASE}/here"}]}),
    }
    allowed = {
        "Patient": {"Patient"},
        "DomainResource": {"Patient"},
        "HumanName": {"HumanName"},
        "Patient.name": {"HumanName"},
        "Patient.contact": {"Patient.contact"},
        "BackboneElement": {"Patient.contact"},
        "Element": set(places),
        "Patient.birthDate": {"Patient.birthDate"},
        "date": {"Patient.birthDate"},
        "Observation": set(),
    }
    for context, holders in allowed.items():
        known = Known(extension("here", context=(context,)))
        found = {place for place, checked in places.items() if known.findings(checked, profiles=[]) == []}
        assert found == holders, context


def test_a_context_holds_for_elements_that_are_as_the_one_it_names() -> None:
    known = Known(extension("here", context=("Questionnaire.item",)))
    inner = {
        "linkId": "2",
        "type": "string",
        "text": "a",
        "extension": [{"url": f"{BASE}/here", "valueString": "a"}],
    }
    checked = resource(
        "Questionnaire", status="draft", item=[{"linkId": "1", "type": "group", "text": "a", "item": [inner]}]
    )
    assert known.findings(checked, profiles=[]) == []


def test_parts_of_a_complex_extension() -> None:
    known = Known(
        extension(
            "complex",
            element(
                "Extension.extension", slicing={"discriminator": [{"type": "value", "path": "url"}]}, min=1
            ),
            element("Extension.extension", slice_name="since", min=1, max="1"),
            element("Extension.extension.url", fixedUri="since"),
            element("Extension.extension.value[x]", min=1, type=[{"code": "date"}]),
            element("Extension.value[x]", max="0"),
        )
    )
    since = {"url": "since", "valueDate": "2024"}
    url = f"{BASE}/complex"
    assert known.findings(patient({"url": url, "extension": [since]}), profiles=[]) == []
    other = {"url": "x", "valueDate": "2024"}
    assert known.messages(patient({"url": url, "extension": [since, other]}), profiles=[]) == [
        "error Patient.extension[0].extension[1]: `x` is no part of the extension; these are: since"
    ]
    absolute = {"url": "http://profile.example/other", "valueDate": "2024"}
    assert known.findings(patient({"url": url, "extension": [since, absolute]}), profiles=[]) == []
    assert known.findings(patient({"url": url, "extension": [absolute]}), profiles=[]) == [
        ("error", "required", "Patient.extension[0].extension")
    ]
    assert known.findings(
        patient({"url": url, "extension": [{"url": "since", "valueString": "a"}]}), profiles=[]
    ) == [("error", "structure", "Patient.extension[0].extension[0].value.ofType(string)")]


def test_an_extension_has_a_value_or_extensions_and_an_absolute_url() -> None:
    known = Known(SIMPLE)
    url = "http://profile.example/other"
    nothing, both = (
        {"url": url},
        {"url": url, "valueString": "a", "extension": [{"url": "b", "valueCode": "c"}]},
    )
    assert known.messages(patient(nothing, both, {"url": "b", "valueString": "a"}), profiles=[]) == [
        "error Patient.extension[0]: ext-1: Must have either extensions or value[x], not both",
        "error Patient.extension[1]: ext-1: Must have either extensions or value[x], not both",
        "error Patient.extension[2]: The url of an extension must be absolute, found `b`",
    ]


def test_an_extension_in_the_context_of_another() -> None:
    part = structure(
        "part", "Extension", context=[{"type": "extension", "expression": "http://profile.example/whole"}]
    )
    known = Known(part)
    inner = {"url": f"{BASE}/part", "valueString": "a"}
    assert (
        known.findings(patient({"url": "http://profile.example/whole", "extension": [inner]}), profiles=[])
        == []
    )
    assert known.findings(
        patient({"url": "http://profile.example/other", "extension": [inner]}), profiles=[]
    ) == [("error", "extension", "Patient.extension[0].extension[0]")]
