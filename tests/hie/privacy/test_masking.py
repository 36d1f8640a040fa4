"""What is masked for whom, and how: rules as data, pure functions; no database."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import load_registry
from fhir_server.validation.structure import StructureValidator
from hie.core.access import ANONYMOUS, SYSTEM, Requester, Role
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hie.core.fhir.structure import element_at
from hie.core.masking import Asked, is_masked
from hie.privacy import patterns
from hie.privacy.hidden_searches import types_of
from hie.privacy.mask import ElementMask
from hie.privacy.masking import RoleMasking, kinds_for
from hie.privacy.masking_rules import KINDS, load_rules
from hie.privacy.patterns import Kept
from tests.hie.policy.city import person
from tests.hie.privacy.secrets import MAIL, NAME, PHONE, RESIDENT_ID, SECRETS, STREET, secret_record
from tests.hie.privacy.whole import CANARY, instance, types

RULES = load_rules()
WHOLE = ElementMask(RULES, KINDS)
ROLES = st.frozensets(st.sampled_from(Role))


def masked(resource: JsonObject, mask: ElementMask = WHOLE) -> JsonObject:
    found: JsonObject = loads(mask.shown(resource["resourceType"], dumps(resource)))
    return found


def test_every_role_stands_in_the_rules() -> None:
    assert set(RULES.roles) == set(Role)


@given(roles=ROLES, further=ROLES)
def test_another_role_never_hides_more_but_ones_own_record_opens_no_others(
    roles: frozenset[Role], further: frozenset[Role]
) -> None:
    own = {Role.CITIZEN, Role.GUARDIAN}
    if roles - own:
        assert kinds_for(RULES, roles | further) <= kinds_for(RULES, roles)
        assert kinds_for(RULES, roles) == kinds_for(RULES, roles - own)


@pytest.mark.parametrize(
    "requester", [SYSTEM, ANONYMOUS, Requester("client", "his-1")], ids=lambda who: who.kind
)
def test_systems_are_shown_everything(requester: Requester) -> None:
    assert RoleMasking().mask(requester) is None


def test_who_has_no_role_is_shown_nothing_whole() -> None:
    mask = RoleMasking().mask(person())
    assert mask is not None
    shown = mask.shown("Patient", dumps(secret_record("y")[0])).decode()
    assert not [secret for secret in SECRETS if secret in shown]


def test_one_role_has_one_mask() -> None:
    masking = RoleMasking()
    assert masking.mask(person(Role.REFERRAL_DESK, id="1")) is masking.mask(
        person(Role.REFERRAL_DESK, id="2")
    )


@pytest.mark.parametrize("resource", secret_record("y"), ids=lambda each: each["resourceType"])
def test_what_is_masked_is_valid_is_labelled_and_stays_as_it_is(resource: JsonObject) -> None:
    once = masked(resource)
    assert not [secret for secret in SECRETS if secret in dumps(once).decode()]
    assert is_masked(once)
    assert masked(once) == once
    assert WHOLE.changes(resource)
    errors = [each for each in StructureValidator().validate(once) if each.severity == "error"]
    assert errors == []


def test_of_every_type_names_numbers_and_addresses_are_masked() -> None:
    """`CANARY` stands in every name, telecom, address line and narrative of an instance of each type."""
    seen = 0
    for name in sorted(set(types()) - RULES.public - RULES.named):
        found = list(_values(masked(instance(name)), name))
        for path, value in found:
            if re.search(
                r"HumanName\.(text|family|given)|Address\.(line|text|postalCode)|Narrative\.div", path
            ):
                assert CANARY not in value, (name, path, value)
                seen += 1
    assert seen > 20


def _values(value: Json, path: str) -> list[tuple[str, str]]:

    found: list[tuple[str, str]] = []
    for key, inner in value.items():
        at = element_at(path, key)
        for item in inner if isinstance(inner, list) else [inner]:
            if at is None:
                continue
            if isinstance(item, dict):
                found += _values(item, item.get("resourceType", at[2]))
            elif isinstance(item, str):
                found.append((f"{path}.{key}", item))
    return found


@pytest.mark.parametrize("name", sorted(RULES.public))
def test_what_is_public_is_shown_as_it_is(name: str) -> None:
    body = dumps({"resourceType": name, "id": "1", "telecom": [{"system": "phone", "value": PHONE}]})
    assert WHOLE.shown(name, body) is body


def test_a_practitioner_is_named_and_its_home_is_not() -> None:
    doctor = {
        "resourceType": "Practitioner",
        "name": [{"text": NAME}],
        "telecom": [{"system": "phone", "value": PHONE}],
        "address": [{"line": [STREET], "city": "郑州市"}],
    }
    shown = masked(doctor)
    assert shown["name"] == [{"text": NAME}]
    assert shown["telecom"] == [{"system": "phone", "value": "138****1234"}]
    assert shown["address"] == [{"city": "郑州市"}]


def test_what_has_nothing_to_hide_stays_its_bytes() -> None:
    body = dumps({"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "Hb"}})
    assert WHOLE.shown("Observation", body) is body
    exact = b'{"resourceType":"Observation","valueQuantity":{"value":1.10}}'
    assert WHOLE.shown("Observation", exact) is exact


def test_decimals_of_what_is_masked_keep_their_digits() -> None:
    body = f'{{"resourceType":"Observation","note":[{{"text":"{PHONE}"}}],"valueQuantity":{{"value":1.10}}}}'
    assert b'"value":1.10' in WHOLE.shown("Observation", body.encode())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"call {PHONE}.", "call 138****1234."),
        ("call 138 0000 1234", "call 138******1234"),
        (f"ID {RESIDENT_ID}", "ID 11****************"),
        ("ID 110105194912310020", "ID 110105194912310020"),  # no resident ID number: wrong check digit
        ("20240301120000123456", "20240301120000123456"),
        ("Hb 138000012345", "Hb 138000012345"),
    ],
)
def test_numbers_of_persons_are_found_in_texts_by_their_form(text: str, left: str) -> None:
    assert masked({"resourceType": "Basic", "code": {"text": text}})["code"]["text"] == left


@given(text=st.text(min_size=1, max_size=40))
def test_of_a_name_one_letter_stays_at_most(text: str) -> None:
    shown = patterns.name(text)
    assert len(shown) == len(text)
    kept = [a for a, b in zip(shown, text, strict=True) if a == b and re.match(r"\w", a)]
    assert len(kept) <= 1


@given(
    text=st.text(max_size=40), kept=st.builds(Kept, st.integers(0, 6), st.integers(0, 6), st.integers(1, 8))
)
def test_of_a_number_enough_is_hidden_or_all(text: str, kept: Kept) -> None:
    shown = kept.of(text)
    assert shown.count("*") >= kept.hidden
    if shown.strip("*"):
        assert len(shown) == len(text)


def test_mail_keeps_its_first_letter_and_host() -> None:
    assert patterns.email(MAIL) == "o***@mail.example"
    assert patterns.email("@x") == "***"


@pytest.mark.parametrize("name", R4_RESOURCE_TYPES)
def test_parameters_over_what_is_masked_cannot_be_searched_by(name: str) -> None:
    """By the names that R4 gives such parameters, independently of how expressions are read."""
    if name in RULES.public:
        return
    for code, parameter in load_registry().of(name).items():
        asked = Asked(name, code, parameter.type, parameter.expression, "", "x")
        telling = {
            "phone",
            "email",
            "telecom",
            "identifier",
            "phonetic",
            "given",
            "family",
            "_text",
            "_content",
        }
        if code in telling or code.startswith("address"):
            is_of_named = name in RULES.named and code in ("phonetic", "given", "family")
            is_concept = code == "identifier" and "Identifier" not in types_of(parameter.expression)
            assert WHOLE.hides(asked) or is_of_named or is_concept, (name, code)


@pytest.mark.parametrize("code", ["_id", "_lastUpdated", "gender", "birthdate", "active", "deceased"])
def test_what_is_shown_can_be_searched_by(code: str) -> None:
    parameter = load_registry().of("Patient")[code]
    assert not WHOLE.hides(Asked("Patient", code, parameter.type, parameter.expression, "", "x"))


def test_an_expression_that_is_not_understood_is_taken_for_telling() -> None:
    assert WHOLE.hides(Asked("Patient", "own", "string", "%resource.descendants()", "", "x"))


def test_the_examples_of_r4_are_masked_without_loss_of_shape(conformance_data: Path) -> None:
    """Every example keeps type and id, and is valid as far as it was."""
    folder = conformance_data / "fhir" / "r4-examples"
    if not folder.is_dir():
        pytest.skip("no examples of R4 among the data")
    validator = StructureValidator()
    found = 0
    for path in sorted(folder.glob("*.json"))[::8]:
        resource = loads(path.read_bytes())
        if not isinstance(resource, dict) or resource.get("resourceType") not in R4_RESOURCE_TYPES:
            continue
        if any(each.severity == "error" for each in validator.validate(resource)):
            continue
        shown = masked(resource)
        assert shown["resourceType"] == resource["resourceType"], path.name
        assert shown.get("id") == resource.get("id"), path.name
        assert [each for each in validator.validate(shown) if each.severity == "error"] == [], path.name
        found += 1
    assert found > 100
