"""Citizens who sign in by a provider outside: proven, linked, refused, unlinked."""

import re
from typing import Any

import pytest

from hie.core.access import Role
from hie.identity import sessions
from hie.identity.accounts import Person
from hie.identity.outside import bindings
from tests.hie.identity.conftest import hidden
from tests.hie.identity.outside.conftest import NUMBER, Outside, hashed, location


def account_of(outside: Outside, name: str, subject: str) -> Person | None:
    with outside.house.exchange.database.transaction() as transaction:
        return bindings.find(transaction, name, subject)


@pytest.mark.parametrize("name", ["city-app", "health-app"])
def test_person_whom_the_provider_proves_is_let_in_as_its_patient(outside: Outside, name: str) -> None:
    outside.providers[name].person |= {"sub": "citizen-7", "acr": "high", "id_number": NUMBER}
    browser = outside.house.browser()
    assert location(outside.sign_in(browser, name, back="/account")) == "/account"
    assert browser.get("/account").status_code == 200
    person = account_of(outside, name, "citizen-7")
    assert person is not None
    assert (person.account.patient_id, person.roles) == ("p1", frozenset({Role.CITIZEN}))
    again = outside.house.browser()
    assert location(outside.sign_in(again, name)) == "/my/accesses"
    second = account_of(outside, name, "citizen-7")
    assert second is not None
    assert second.account.id == person.account.id


def test_two_providers_that_prove_one_person_lead_to_one_account(outside: Outside) -> None:
    for name in ("city-app", "health-app"):
        outside.providers[name].person |= {"sub": name, "acr": "high", "id_number": NUMBER}
        outside.sign_in(outside.house.browser(), name)
    first, second = (account_of(outside, name, name) for name in ("city-app", "health-app"))
    assert first is not None
    assert second is not None
    assert first.account.id == second.account.id


@pytest.mark.parametrize(
    "person",
    [
        {"acr": "low", "id_number": NUMBER},
        {"id_number": NUMBER},
        {"acr": ["high"], "id_number": NUMBER},
        {"acr": "high", "id_number": "410102199001019999"},
        {"acr": "high"},
        {"acr": "high", "id_number": "x,410102199001011239"},
        {"acr": "high", "id_number": {"number": NUMBER}},
    ],
)
def test_person_who_is_not_proven_gets_no_account(outside: Outside, person: dict[str, Any]) -> None:
    outside.providers["city-app"].person |= {"sub": "someone", **person}
    browser = outside.house.browser()
    page = outside.sign_in(browser, "city-app")
    assert (page.status_code, "set-cookie" in page.headers) == (200, True)
    assert re.search(r"\d{5} \d{5}", page.text)
    assert account_of(outside, "city-app", "someone") is None
    assert browser.get("/account").status_code == 303


def test_identifier_of_several_people_lets_nobody_in(outside: Outside) -> None:
    other = {"resourceType": "Patient", "id": "p9", "birthDate": "1950-05-05"}
    outside.house.store(
        {**other, "identifier": [{"system": "http://hie.example/sid/resident-id", "value": "9"}]}
    )
    twin = {**other, "id": "p8", "birthDate": "1951-05-05"}
    outside.house.store(
        {**twin, "identifier": [{"system": "http://hie.example/sid/resident-id", "value": "9"}]}
    )
    outside.providers["city-app"].person |= {"sub": "twin", "acr": "high", "id_number": "9"}
    assert outside.sign_in(outside.house.browser(), "city-app").status_code == 403


def test_number_whose_digest_the_provider_knows_links_its_person(outside: Outside) -> None:
    person = {"sub": "card-1", "acr": "high", "id_number_sha256": hashed(NUMBER)}
    outside.providers["social-card"].person |= person
    browser = outside.house.browser()
    page = outside.sign_in(browser, "social-card")
    form = {"code": hidden(page, "code"), "form_token": hidden(page, "form_token")}
    wrong = browser.post("/sign-in/with/number", data={**form, "number": "410102199001019999"})
    assert (wrong.status_code, account_of(outside, "social-card", "card-1")) == (403, None)
    thief = outside.house.browser()
    stolen = thief.get("/sign-in")
    taken = {"code": form["code"], "form_token": hidden(stolen, "form_token"), "number": NUMBER}
    assert thief.post("/sign-in/with/number", data=taken).status_code == 403
    right = browser.post("/sign-in/with/number", data={**form, "number": NUMBER})
    assert location(right) == "/my/accesses"
    assert browser.get("/account").status_code == 200


def test_number_is_guessed_five_times_at_most(outside: Outside) -> None:
    outside.providers["social-card"].person |= {
        "sub": "card-2",
        "acr": "high",
        "id_number_sha256": hashed(NUMBER),
    }
    browser = outside.house.browser()
    page = outside.sign_in(browser, "social-card")
    form = {"code": hidden(page, "code"), "form_token": hidden(page, "form_token")}
    for guess in range(5):
        assert browser.post("/sign-in/with/number", data={**form, "number": str(guess)}).status_code == 403
    assert browser.post("/sign-in/with/number", data={**form, "number": NUMBER}).status_code == 403


def test_card_desk_links_whose_papers_it_saw(outside: Outside) -> None:
    outside.providers["wechat"].person |= {"openid": "o1", "unionid": "u1"}
    browser, desk = outside.house.browser(), outside.house.browser()
    page = outside.sign_in(browser, "wechat")
    code = re.search(r"\d{5} \d{5}", page.text)
    assert code
    outside.house.let_in(desk, outside.house.add("desk", Role.CARD_DESK))
    token = hidden(desk.get("/card-desk"), "form_token")
    nobody = desk.post("/card-desk/find", data={"code": "0000000000", "number": NUMBER, "form_token": token})
    assert nobody.status_code == 404
    found = desk.post("/card-desk/find", data={"code": code[0], "number": NUMBER, "form_token": token})
    assert (found.status_code, "1990-01-01" in found.text) == (200, True)
    form = {"code": hidden(found, "code"), "patient": hidden(found, "patient"), "form_token": token}
    assert desk.post("/card-desk/link", data=form).status_code == 200
    assert desk.post("/card-desk/link", data=form).status_code == 404
    assert location(outside.sign_in(browser, "wechat")) == "/my/accesses"
    person = account_of(outside, "wechat", "unionid:u1")
    assert person is not None
    assert person.account.patient_id == "p1"


@pytest.mark.parametrize("role", [Role.CLINICIAN, Role.CITIZEN, Role.OPERATOR])
def test_card_desk_is_for_nobody_else(outside: Outside, role: Role) -> None:
    browser = outside.house.browser()
    outside.house.let_in(browser, outside.house.add("other", role))
    assert browser.get("/card-desk").status_code == 403


def test_account_links_a_provider_only_with_its_second_factor_and_unlinks_it(outside: Outside) -> None:
    outside.providers["wechat"].person |= {"openid": "o2"}
    person = outside.house.add("citizen", Role.CITIZEN)
    browser = outside.house.browser()
    outside.house.let_in(browser, person)
    assert browser.get("/account/outside/wechat").status_code == 403
    with outside.house.exchange.database.transaction() as transaction:
        begun = sessions.begin(
            transaction,
            person.account.id,
            methods=("pwd", "otp", "mfa"),
            is_complete=True,
            lifetimes=outside.house.exchange.identity.terms.sessions,
            now=outside.house.clock.now(),
        )
    browser.cookies.set("session", begun.secret)
    assert browser.get("/account/outside/staff").status_code == 404
    back = outside.lead(browser, "wechat", "/account/outside/wechat")
    assert location(browser.get(back)) == "/account"
    other = outside.house.browser()
    assert location(outside.sign_in(other, "wechat", back="/account")) == "/account"
    page = browser.get("/account")
    assert "平台 wechat" in page.text
    form = {"provider": "wechat", "subject": "openid:o2", "form_token": begun.row.form_token}
    assert browser.post("/account/outside/unlink", data=form).status_code == 303
    assert other.get("/account").status_code == 303
    assert account_of(outside, "wechat", "openid:o2") is None


def test_person_who_is_linked_to_one_account_is_not_linked_to_another(outside: Outside) -> None:
    first = outside.house.add("first", Role.CITIZEN)
    now = outside.house.clock.now()
    with outside.house.exchange.database.transaction() as transaction:
        bindings.bind(transaction, "wechat", "openid:o3", first.account.id, proof="account", now=now)
    outside.providers["wechat"].person |= {"openid": "o3"}
    second = outside.house.add("second", Role.CITIZEN)
    browser = outside.house.browser()
    with outside.house.exchange.database.transaction() as transaction:
        begun = sessions.begin(
            transaction,
            second.account.id,
            methods=("pwd", "otp", "mfa"),
            is_complete=True,
            lifetimes=outside.house.exchange.identity.terms.sessions,
            now=now,
        )
    browser.cookies.set("session", begun.secret)
    assert browser.get(outside.lead(browser, "wechat", "/account/outside/wechat")).status_code == 403
    found = account_of(outside, "wechat", "openid:o3")
    assert found is not None
    assert found.account.id == first.account.id
