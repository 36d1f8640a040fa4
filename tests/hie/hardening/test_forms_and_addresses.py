"""What a form, a body or an address may not decide: roles, states, other people's records, other sites."""

import re

import pytest

from hie.core.access import Role
from hie.core.security_errors import AccountError
from hie.identity.accounts import Links, Person, add_account, find_account, person_of
from tests.hie.identity.conftest import PASSWORD, House, hidden, sign_in

ELSEWHERE = [
    "https://evil.example/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/%09/evil.example/..//evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "https:evil.example",
    "evil.example",
    "http://localhost@evil.example/",
]
# What other applications' accounts have, and what ours have in the database.
FIELDS_OF_NO_FORM = {
    "roles": "system-administrator",
    "role": "system-administrator",
    "is_admin": "true",
    "admin": "1",
    "is_disabled": "false",
    "is_demonstration": "true",
    "patient": "p2",
    "patient_id": "p2",
    "practitioner_id": "pr9",
    "account_id": "x",
    "password_hash": "x",
    "totp_confirmed_at": "2026-01-01",
}


@pytest.mark.parametrize("back", ELSEWHERE, ids=range(len(ELSEWHERE)))
def test_no_redirection_leads_to_another_site(house: House, clinician: Person, back: str) -> None:
    signed_in = house.browser()
    house.let_in(signed_in, clinician)
    answers = [
        signed_in.get("/sign-in", params={"back": back}),
        signed_in.post("/language", data={"language": "en", "back": back}),
        house.browser().get("/sign-in/code", params={"back": back}),
        house.browser().post("/sign-in/code", data={"code": "1", "form_token": "x", "back": back}),
    ]
    for answer in answers:
        assert answer.status_code in (303, 400), answer.text
        led = answer.headers.get("location", "/")
        assert re.match(r"/(?![/\\])", led), led
        assert not re.search(r"[\x00-\x20\\]", led), led


def test_path_that_a_browser_would_take_for_another_site_is_not_led_to(house: House) -> None:
    for path in ("//evil.example/administration", "/\\evil.example/x", "//evil.example/%2e%2e"):
        led = house.browser().get(f"http://testserver{path}").headers.get("location", "/")
        assert "//evil" not in led.partition("?")[0], led


def test_fields_that_a_form_does_not_have_change_nothing(house: House, clinician: Person) -> None:
    browser = house.browser()
    house.let_in(browser, clinician)
    page = browser.get("/account")
    form = {
        "form_token": hidden(page, "form_token"),
        "old": PASSWORD,
        "new": "Another-pass 9 wort",
        "again": "Another-pass 9 wort",
        **FIELDS_OF_NO_FORM,
    }
    browser.post("/account/password", data=form)
    browser.post("/role", data={"role": Role.SYSTEM_ADMINISTRATOR.value, **FIELDS_OF_NO_FORM})
    with house.exchange.database.transaction() as transaction:
        found = person_of(transaction, clinician.account.id)
    assert found.roles == {Role.CLINICIAN}
    assert (found.account.patient_id, found.account.practitioner_id) == ("", "pr1")
    assert not found.account.is_demonstration


def test_sign_in_takes_no_role_from_its_form(house: House, clinician: Person) -> None:
    browser = house.browser()
    page = browser.get("/sign-in")
    browser.post(
        "/sign-in",
        data={
            "name": clinician.account.name,
            "password": PASSWORD,
            "form_token": hidden(page, "form_token"),
            **FIELDS_OF_NO_FORM,
        },
    )
    assert browser.get("/account").status_code == 200
    assert browser.get("/administration").status_code == 403


def test_server_sets_what_of_meta_is_its_own(house: House) -> None:
    """https://hl7.org/fhir/R4/http.html#create: versionId and lastUpdated are the server's."""
    meta = {"versionId": "99", "lastUpdated": "1999-01-01T00:00:00Z", "source": "#x"}
    resource = {"resourceType": "Patient", "id": "p-meta", "meta": meta, "gender": "male"}
    house.store(resource)
    with house.exchange.database.transaction() as transaction:
        stored = house.exchange.repository.read(transaction, "Patient", "p-meta")
    assert stored.version == 1
    assert stored.last_updated.year > 1999
    assert b"1999-01-01" not in (stored.body or b"")
    assert b'"99"' not in (stored.body or b"")


CONFUSABLE = [
    "\u0430dmin.wang",  # Cyrillic
    "admin\u200b.wang",  # zero width
    "admin.wa\u0441g",
    "\uff41dmin.wang",  # full width
    "adm\u0131n.wang",  # dotless i
    "admin.wang\u202e",
    "ADM\u0130N.wang",
    "admin\u2024wang",
    "admin\u00ad.wang",
    "e\u0301milie",
]


@pytest.mark.parametrize("name", CONFUSABLE, ids=range(len(CONFUSABLE)))
def test_name_that_looks_like_another_can_be_nobody_s(house: House, name: str) -> None:
    """https://www.unicode.org/reports/tr39/: names are of ASCII, so that none is taken for another."""
    with pytest.raises(AccountError), house.exchange.database.transaction() as transaction:
        add_account(
            transaction,
            name,
            roles=[Role.CITIZEN],
            password=PASSWORD,
            rule=house.exchange.identity.password_rule,
            now=house.clock.now(),
        )


def test_name_that_looks_like_another_signs_nobody_in(house: House) -> None:
    person = house.add("admin", Role.CLINICIAN, links=Links())
    name = person.account.name
    for lookalike in (name.replace("a", "\u0430"), f"{name}\u200b", name.replace("i", "\u0131")):
        with house.exchange.database.transaction() as transaction:
            assert find_account(transaction, lookalike) is None


def test_session_that_another_site_of_the_domain_planted_is_not_taken_over(
    house: House, clinician: Person
) -> None:
    """Cookie tossing: two cookies of one name, the reader's own and one of a wider path or domain."""
    attacker = house.browser()
    house.let_in(attacker, house.add("attacker", Role.CITIZEN, links=Links(patient="p2")))
    planted = attacker.cookies.get("session")
    victim = house.browser()
    page = victim.get("/sign-in")
    token = hidden(page, "form_token")
    own = "; ".join(f"{name}={value}" for name, value in victim.cookies.items())
    form = {"name": clinician.account.name, "password": PASSWORD, "form_token": token}
    answer = victim.post("/sign-in", data=form, headers={"Cookie": f"session={planted}; {own}"})
    assert answer.status_code == 303
    (given,) = [each for each in answer.headers.get_list("set-cookie") if each.startswith("session=")]
    assert planted is not None
    assert planted not in given


def test_planted_form_token_of_the_attacker_does_not_send_a_form_of_the_reader(
    house: House, clinician: Person
) -> None:
    victim, attacker = house.browser(), house.browser()
    house.let_in(victim, clinician)
    house.let_in(attacker, house.add("attacker", Role.CITIZEN, links=Links(patient="p2")))
    token = hidden(attacker.get("/account"), "form_token")
    answer = victim.post("/account/second-factor", data={"form_token": token, "password": PASSWORD})
    assert answer.status_code == 403


def test_sign_in_of_who_is_nobody_sets_no_session(house: House) -> None:
    answer = sign_in(house.browser(), "nobody.here")
    assert [each for each in answer.headers.get_list("set-cookie") if each.startswith("session=")] == []
