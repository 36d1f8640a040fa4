"""The demonstration accounts of the demo city: which of its people they are, and how they are shown.

`hie.identity.demonstration` makes them; here are the persons that the city has for them.
"""

from functools import partial
from typing import Final

from rich.console import Console
from rich.table import Table
from sqlmodel import select

from hie import wiring
from hie.core.access import Role
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError
from hie.core.fhir.json import JsonObject, loads
from hie.core.settings import Settings, is_loopback
from hie.identity.accounts import Links, list_accounts
from hie.identity.demonstration import DemonstrationAccount, make_accounts
from hie.identity.demonstration_end import CLIENT, remove_accounts
from hie.simulator.tables import DemoCity

# Encounters that are looked at to find a doctor who treats somebody.
_ENCOUNTERS: Final = "50"
_SCOPE: Final = "system/*.rs"
_AGE_OF_MAJORITY: Final = 18  # 民法典 (Civil Code of the PRC), art. 17
_WORKERS: Final = (Role.CLINICIAN, Role.PHARMACIST, Role.REFERRAL_DESK, Role.CARD_DESK)


def offer(settings: Settings, url: str, console: Console, *, hie: str = "hie") -> None:
    """Make and print the accounts of a demo city that only this machine reaches; without one remove them.

    `hie` is how the reader's shell calls this program.
    """
    if settings.auth == "off":
        console.print(
            "[bold red]HIE_AUTH=off[/]: whoever reaches this machine may see and change everything."
            " For trials with synthetic data only."
        )
        return
    with wiring.build(settings, database_url=url) as exchange:
        with exchange.database.transaction() as transaction:
            city = transaction.session.exec(select(DemoCity)).first()
            is_shown = city is not None and city.filled_at is not None and is_loopback(settings.host)
            if not is_shown:
                removed = remove_accounts(
                    transaction,
                    now=exchange.clock.now(),
                    token_life=exchange.identity.terms.longest_token,
                )
                is_without_accounts = not list_accounts(transaction)
            else:
                links, dependant = _people(exchange, transaction)
                name = _name(exchange, transaction, links[Role.CITIZEN].patient)
        if not is_shown:
            if removed:
                console.print(f"[green]✓[/] {removed} demonstration accounts removed")
            if is_without_accounts:
                console.print(
                    f"Nobody can sign in yet: [bold]{hie} account NAME --role system-administrator[/]"
                    f" adds the first account, [bold]{hie} client --help[/] registers a system.",
                    soft_wrap=True,
                )
            return
        made = make_accounts(exchange.identity, settings.var_dir / "demo", links, dependant=dependant)
        _show(made, console)
        if name:
            console.print(f"{name} is who signs in as the citizen; the clinician treats this patient.")
        _show_request(exchange, console, hie)


def _people(exchange: wiring.Exchange, transaction: Transaction) -> tuple[dict[Role, Links], str]:
    """Return whom the accounts are: a doctor and the patient treated last, a child and somebody for it."""
    patient = practitioner = organization = ""
    for encounter in _search(exchange, transaction, "Encounter", ("_sort", "-date"), ("_count", _ENCOUNTERS)):
        doctors = [
            _id(each.get("individual", {}), "Practitioner") for each in encounter.get("participant", [])
        ]
        patient = _id(encounter.get("subject", {}), "Patient")
        practitioner = next((each for each in doctors if each), "")
        organization = _id(encounter.get("serviceProvider", {}), "Organization")
        if patient and practitioner and organization:
            break
    today = exchange.clock.now().astimezone(exchange.settings.zone).date()
    since = today.replace(year=today.year - _AGE_OF_MAJORITY, day=1).isoformat()
    children = _search(exchange, transaction, "Patient", ("birthdate", f"gt{since}"), ("_count", "1"))
    workers = {role: Links(organization=organization) for role in _WORKERS}
    workers[Role.CLINICIAN] = Links(practitioner=practitioner, organization=organization)
    links = {Role.CITIZEN: Links(patient=patient), **workers}
    return links, next((str(child["id"]) for child in children), "")


def _search(
    exchange: wiring.Exchange, transaction: Transaction, resource_type: str, *parameters: tuple[str, str]
) -> list[JsonObject]:
    try:
        page = exchange.repository.search(transaction, resource_type, parameters)
    except ExchangeError:
        return []
    return [loads(entry.resource.body) for entry in page.entries if entry.resource.body is not None]


def _name(exchange: wiring.Exchange, transaction: Transaction, patient: str) -> str:
    """Return the name of a person of the synthetic city, "" where there is none."""
    found = _search(exchange, transaction, "Patient", ("_id", patient)) if patient else []
    return next((str(name["text"]) for each in found for name in each.get("name", ()) if "text" in name), "")


def _id(reference: JsonObject, resource_type: str) -> str:
    """Return the id of a relative reference to `resource_type`, "" for any other."""
    kind, _, found = str(reference.get("reference", "")).partition("/")
    return found if kind == resource_type else ""


def _show(made: list[DemonstrationAccount], console: Console) -> None:
    table = Table("role", "account", "password", title="Demonstration accounts (this machine only)")
    for each in made:
        table.add_row(each.role.value, each.name, each.password)
    console.print(table)
    console.print("Links that sign in once, for 24 hours:")
    for each in made:
        console.print(f"  {each.role.value:22} {each.link}", soft_wrap=True)


def _show_request(exchange: wiring.Exchange, console: Console, hie: str) -> None:
    """Print a request of a program with a token that is good now, and how to get the next one."""
    answer = exchange.identity.token_for_client(CLIENT, _SCOPE)
    minutes = round(int(answer.body["expires_in"]) / 60)
    request = f"'{exchange.settings.base_url}/Patient?_count=5'"
    console.print(f"A program's request; the token is good for {minutes} minutes:")
    # neither wrapped nor coloured: it is copied
    plain = partial(console.print, soft_wrap=True, markup=False, highlight=False)
    plain(f"  curl -s -H 'Authorization: Bearer {answer.body['access_token']}' {request}")
    console.print("The same with a token made for it:")
    token = f"$({hie} token --client {CLIENT} --scope '{_SCOPE}')"
    plain(f'  curl -s -H "Authorization: Bearer {token}" {request}')
