"""Demonstration accounts: one for each role, so that a newcomer gets in at once.

They exist only where nobody but this machine can reach the server and only beside a demo city; their
passwords are random and lie in a file of mode 0600. No second factor is asked of them.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hie.core.access import Role
from hie.core.db.database import Transaction
from hie.core.security_errors import PasswordError
from hie.identity import clients
from hie.identity.accounts import Links, Person, add_account, find_account, set_password
from hie.identity.clients import Registration
from hie.identity.demonstration_end import CLIENT
from hie.identity.passwords import is_password
from hie.identity.secrets import new_secret
from hie.identity.service import Identity
from hie.identity.sign_in import make_link
from hie.identity.tables import Client, Dependant

_SCOPES: Final = ("system/*.cruds",)
_FILE: Final = "accounts.json"


@dataclass(frozen=True, slots=True)
class DemonstrationAccount:
    """An account to show around with; `link` is the address that signs in once."""

    role: Role
    name: str
    password: str
    link: str


def make_accounts(
    identity: Identity, folder: Path, links: Mapping[Role, Links], *, dependant: str = ""
) -> list[DemonstrationAccount]:
    """Return the account of each role, made or found again, each with a new link; `folder` keeps passwords.

    `links` are the resources that they are; `dependant` is the Patient of the guardian's child. There is a
    client CLIENT too, which gets tokens on its own behalf.
    """
    path = folder / _FILE
    known = _read(path)
    made: list[DemonstrationAccount] = []
    now = identity.clock.now()
    with identity.database.transaction() as transaction:
        for role in Role:
            name = f"demo.{role.value}"
            person, password = _account(transaction, identity, role, known.get(name, ""), links.get(role))
            made.append(
                DemonstrationAccount(
                    role,
                    name,
                    password,
                    f"{identity.terms.issuer}/sign-in/link?key="
                    + make_link(transaction, person.account.id, now=now),
                )
            )
            if role is Role.GUARDIAN and dependant:
                transaction.session.merge(Dependant(account_id=person.account.id, patient_id=dependant))
        if transaction.session.get(Client, CLIENT) is None:
            registration = Registration(
                "Demonstration",
                "client_secret_basic",
                _SCOPES,
                grant_types=("client_credentials",),
                client_id=CLIENT,
            )
            clients.register(transaction, registration, now=now)
        _write(path, {each.name: each.password for each in made})
    return made


def _account(
    transaction: Transaction, identity: Identity, role: Role, known: str, links: Links | None
) -> tuple[Person, str]:
    """Return the account of `role` and its password, a new one where the `known` one is not its."""
    name = f"demo.{role.value}"
    person = find_account(transaction, name)
    if person is not None and known and is_password(person.account.password_hash, known):
        return person, known
    password = _new_password(identity, name)
    if person is not None:
        set_password(
            transaction, person.account.id, password, rule=identity.password_rule, now=identity.clock.now()
        )
        return person, password
    made = add_account(
        transaction,
        name,
        roles=[role],
        password=password,
        rule=identity.password_rule,
        now=identity.clock.now(),
        links=links,
        is_demonstration=True,
    )
    return made, password


def _new_password(identity: Identity, name: str) -> str:
    """Return a random password that the rules take; about one in a hundred is not."""
    while True:
        password = new_secret()[:20]
        try:
            identity.password_rule.check(password, name, "")
        except PasswordError:
            continue
        return password


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(password) for name, password in found.items()} if isinstance(found, dict) else {}


def _write(path: Path, passwords: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(passwords, file, indent=2)
    draft.replace(path)
