"""Staff who sign in by a hospital's own directory: roles as it says now, and signing out there too."""

from typing import Any

import pytest

from hie.core.access import Role
from hie.identity.outside import bindings
from tests.hie.identity.conftest import hidden
from tests.hie.identity.outside.conftest import Outside, location


def roles(*names: str) -> dict[str, Any]:
    return {"sub": "dr-li", "realm_access": {"roles": list(names)}, "practitioner": "pr1", "name": "Li"}


def test_roles_are_those_that_the_provider_says_now(outside: Outside) -> None:
    staff = outside.providers["staff"]
    staff.person |= roles("doctor", "unknown-role") | {"organization": "o1"}
    first = outside.house.browser()
    assert location(outside.sign_in(first, "staff")) == "/"
    with outside.house.exchange.database.transaction() as transaction:
        person = bindings.find(transaction, "staff", "dr-li")
    assert person is not None
    assert (person.roles, person.account.practitioner_id) == (frozenset({Role.CLINICIAN}), "pr1")
    assert (person.account.organization_id, person.account.patient_id) == ("o1", "")
    staff.person |= roles("desk")
    outside.house.clock.advance(seconds=1)
    second = outside.house.browser()
    outside.sign_in(second, "staff")
    assert second.get("/card-desk").status_code == 200
    assert first.get("/account").status_code == 303, "sessions under the earlier roles have ended"


@pytest.mark.parametrize("names", [(), ("unknown-role",), ("citizen",), ("clinician",)])
def test_person_without_a_role_here_is_not_let_in(outside: Outside, names: tuple[str, ...]) -> None:
    outside.providers["staff"].person |= roles(*names)
    browser = outside.house.browser()
    assert outside.sign_in(browser, "staff").status_code == 403
    assert browser.get("/account").status_code == 303


def test_administrator_by_a_provider_needs_our_second_factor_too(outside: Outside) -> None:
    outside.providers["staff"].person |= roles("root")
    browser = outside.house.browser()
    outside.sign_in(browser, "staff")
    assert browser.get("/administration").status_code == 403


def test_signing_out_leads_to_the_provider_as_well(outside: Outside) -> None:
    staff = outside.providers["staff"]
    staff.person |= roles("doctor")
    browser = outside.house.browser()
    outside.sign_in(browser, "staff")
    token = hidden(browser.get("/account"), "form_token")
    page = browser.post("/sign-out", data={"form_token": token})
    assert page.status_code == 200
    assert f"{staff.issuer}/logout?client_id=hie&amp;post_logout_redirect_uri=" in page.text
    assert browser.get("/account").status_code == 303


def test_sign_in_page_offers_every_provider(outside: Outside) -> None:
    page = outside.house.browser().get("/sign-in", params={"back": "/account"})
    for name in outside.providers:
        assert f'href="/sign-in/with/{name}?back=%2Faccount"' in page.text
        assert f"平台 {name}" in page.text
