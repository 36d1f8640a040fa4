"""What a newcomer gets: accounts to show around with, while nobody else can reach the server."""

from pathlib import Path

import pytest

from hie.core.access import Role
from hie.identity.accounts import Links, list_accounts
from hie.identity.demonstration import DemonstrationAccount, make_accounts
from hie.identity.demonstration_end import CLIENT, remove_accounts
from hie.identity.rules import ADMINISTRATORS
from tests.hie.identity.conftest import House, hidden, sign_in


@pytest.fixture
def made(house: House, tmp_path: Path) -> list[DemonstrationAccount]:
    """The accounts of a demo city whose patient is p1 and whose child is p2."""
    links = {Role.CITIZEN: Links(patient="p1"), Role.CLINICIAN: Links(practitioner="pr1", organization="o1")}
    return make_accounts(house.exchange.identity, tmp_path, links, dependant="p2")


def test_every_role_has_an_account_of_its_own_and_a_link(
    house: House, made: list[DemonstrationAccount]
) -> None:
    assert [each.role for each in made] == list(Role)
    with house.exchange.database.transaction() as transaction:
        people = {each.account.name: each for each in list_accounts(transaction)}
    for each in made:
        assert people[each.name].roles == {each.role}
        assert len(people[each.name].roles & ADMINISTRATORS) <= 1
        browser = house.browser()
        path = each.link.removeprefix(house.exchange.identity.terms.issuer)
        page = browser.get(path)
        form = {"key": hidden(page, "key"), "form_token": hidden(page, "form_token")}
        assert browser.post("/sign-in/link", data=form).status_code == 303
        assert browser.get("/account").status_code == 200


def test_passwords_lie_in_a_file_for_the_owner_and_stay(
    house: House, tmp_path: Path, made: list[DemonstrationAccount]
) -> None:
    assert (tmp_path / "accounts.json").stat().st_mode & 0o777 == 0o600
    again = make_accounts(house.exchange.identity, tmp_path, {})
    assert [each.password for each in again] == [each.password for each in made]
    assert not {each.link for each in again} & {each.link for each in made}
    assert sign_in(house.browser(), made[0].name, made[0].password).status_code == 303
    (tmp_path / "accounts.json").unlink()
    renewed = make_accounts(house.exchange.identity, tmp_path, {})
    assert not {each.password for each in renewed} & {each.password for each in made}


@pytest.mark.usefixtures("made")
def test_client_of_the_demonstration_gets_a_token_from_the_command_line(house: House) -> None:
    answer = house.exchange.identity.token_for_client(CLIENT, "system/*.rs")
    bearer = {"Authorization": f"Bearer {answer.body['access_token']}"}
    assert house.program().get("/fhir/Patient/p1", headers=bearer).status_code == 200


def test_accounts_end_with_their_sessions_and_tokens(house: House, made: list[DemonstrationAccount]) -> None:
    browser = house.browser()
    sign_in(browser, made[2].name, made[2].password)
    token = house.exchange.identity.token_for_client(CLIENT, "system/*.rs").body["access_token"]
    with house.exchange.database.transaction() as transaction:
        removed = remove_accounts(
            transaction,
            now=house.clock.now(),
            token_life=house.exchange.identity.terms.longest_token,
        )
    house.clock.advance(seconds=1)
    assert removed == len(Role)
    assert browser.get("/").status_code == 303
    bearer = {"Authorization": f"Bearer {token}"}
    assert house.program().get("/fhir/Patient/p1", headers=bearer).status_code == 401
