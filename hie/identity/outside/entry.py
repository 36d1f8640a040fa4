"""Signing in by a provider outside: begun, come back from, and whose account it turns out to be.

A person whom the provider proves (an identifier, well enough assured) gets the citizen's account of that
Patient at once. Anybody else is linked once: by signing in to an existing account with its second factor, or
at a card desk, where papers are looked at. What staff may do, their provider says at every sign-in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol
from uuid import UUID

from hie.core.clock import Clock
from hie.core.crypto.digest import hash_of
from hie.core.db.database import Database, Transaction
from hie.core.errors import NotFoundError
from hie.core.fhir.json import Json
from hie.core.security_errors import AccountError, OutsideIdentityError
from hie.core.settings import Settings
from hie.identity.accounts import (
    Links,
    Person,
    add_outside_account,
    person_of,
    set_links,
    set_roles,
)
from hie.identity.outside import attempts, bindings
from hie.identity.outside.attempts import Attempt
from hie.identity.outside.configuration import IdentityClaim, ProviderConfiguration, Roles, read_providers
from hie.identity.outside.oauth2 import OAuth2Provider
from hie.identity.outside.oidc import OIDCProvider
from hie.identity.outside.provider import OutsideIdentity, Provider, text_at, value_at
from hie.identity.outside.wechat import WeChatProvider
from hie.identity.secrets import new_secret
from hie.identity.server import Terms
from hie.identity.sign_in import Answer, SignIn

_PATH: Final = "/sign-in/with"


class Patients(Protocol):
    """Finds the Patient that somebody is."""

    def with_identifier(self, transaction: Transaction, system: str, value: str) -> str | None:
        """Return the id of the one Patient with the identifier, None without one.

        Raises OutsideIdentityError where it leads to several people.
        """
        ...


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser goes, and the secret that it keeps until it comes back."""

    address: str
    browser: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came of coming back: somebody signed in, an account was linked, or the person is not known yet.

    Who is not known has a `code` for the card desk; `can_prove` says that typing the number will do too.
    """

    outcome: Literal["signed-in", "linked", "unknown"]
    back: str
    answer: Answer | None = None
    code: str = ""
    can_prove: bool = False


class OutsideEntry:
    """The providers of one process; safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        clock: Clock,
        terms: Terms,
        sign_in: SignIn,
    ) -> None:
        """Take the parts; raises ConfigurationError for a bad file of providers."""
        self.configurations = read_providers(settings.identity_providers)
        self._database = database
        self._clock = clock
        self._terms = terms
        self._sign_in = sign_in
        self._providers = {name: _provider(each, clock) for name, each in self.configurations.items()}

    def begin(self, name: str, *, back: str, account_id: UUID | None = None) -> Begun:
        """Return the way to the provider `name`; with `account_id` it links that account.

        Raises NotFoundError, UnavailableError.
        """
        provider = self._of(name)
        browser = new_secret()
        with self._database.transaction() as transaction:
            ticket = attempts.begin(
                transaction,
                name,
                redirect_uri=self._redirect_uri(name),
                browser=browser,
                back=back,
                account_id=account_id,
                now=self._clock.now(),
            )
        return Begun(provider.address(ticket, is_fresh=account_id is not None), browser)

    def arrive(self, name: str, answer: Mapping[str, str], browser: str, patients: Patients) -> Arrival:
        """Return what comes of the parameters `answer` that the provider sent the browser back with.

        Raises OutsideIdentityError where they are not acceptable, AccountError where whom they name cannot
        be let in, UnavailableError where the provider cannot be asked. The attempt is used in any case.
        """
        provider, now = self._of(name), self._clock.now()
        with self._database.transaction() as transaction:
            attempt = attempts.take(
                transaction, answer.get("state", ""), redirect_uri=self._redirect_uri(name)
            )
        if attempt is None:
            raise OutsideIdentityError("There is no such attempt to sign in, or it was used")
        attempt.check(name, browser, now)
        who = provider.identity(attempt.ticket, answer)
        with self._database.transaction() as transaction:
            if attempt.account_id is not None:
                bindings.bind(transaction, name, who.subject, attempt.account_id, proof="account", now=now)
                return Arrival("linked", attempt.back)
            person = self._person(transaction, name, who, patients, now)
            if person is not None:
                entered = self._sign_in.by_outside(transaction, person, name)
                return Arrival("signed-in", attempt.back, entered)
            return self._unknown(transaction, name, who, attempt, browser, now)

    def prove(self, code: str, number: str, browser: str, patients: Patients) -> Answer:
        """Return a session for who typed the `number` whose digest the provider vouched for.

        The answer is "refused" for another number, or one that no Patient has.
        """
        now = self._clock.now()
        with self._database.transaction() as transaction:
            shown = bindings.unlinked(transaction, code, now=now)
            settings = self.configurations.get(shown.provider) if shown is not None else None
            claim = settings.identity if settings is not None else None
            if claim is None or claim.digest == "none":
                return Answer("refused")
            given = hash_of(claim.digest, number.strip().upper().encode()).hex()
            found = bindings.proven_by(transaction, code, browser=browser, digest_of_number=given, now=now)
            if found is None:
                return Answer("refused")
            patient = patients.with_identifier(transaction, claim.system, number.strip().upper())
            if patient is None:
                return Answer("refused")
            person = bindings.account_of_patient(transaction, patient, now=now)
            bindings.bind(
                transaction, found.provider, found.subject, person.account.id, proof="claim", now=now
            )
            bindings.end_codes(transaction, found)
            return self._sign_in.by_outside(transaction, person, found.provider)

    def sign_out_address(self, name: str, back: str) -> str:
        """Return where the person signs out at the provider of the session, "" where that is nowhere."""
        provider = self._providers.get(name)
        return "" if provider is None else provider.sign_out_address(back)

    def _of(self, name: str) -> Provider:
        provider = self._providers.get(name)
        if provider is None:
            raise NotFoundError(f"There is no provider `{name[:32]}`")
        return provider

    def _redirect_uri(self, name: str) -> str:
        """Return where `name` sends browsers: each its own address, so that no two can be mixed up."""
        return f"{self._terms.issuer}{_PATH}/{name}/callback"

    def _person(
        self, transaction: Transaction, name: str, who: OutsideIdentity, patients: Patients, now: datetime
    ) -> Person | None:
        settings = self.configurations[name]
        person = bindings.find(transaction, name, who.subject)
        if settings.roles is not None:
            return self._staff(transaction, name, who, person, settings.roles, now)
        if person is not None:
            return person
        claim = settings.identity
        if claim is None or claim.digest != "none" or not _is_assured(claim, who.claims):
            return None
        value = text_at(who.claims, claim.claim)
        patient = patients.with_identifier(transaction, claim.system, value) if value else None
        if patient is None:
            return None
        person = bindings.account_of_patient(transaction, patient, now=now)
        bindings.bind(transaction, name, who.subject, person.account.id, proof="claim", now=now)
        return person

    def _staff(
        self,
        transaction: Transaction,
        name: str,
        who: OutsideIdentity,
        person: Person | None,
        rules: Roles,
        now: datetime,
    ) -> Person:
        given = value_at(who.claims, rules.claim)
        names = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
        roles = frozenset(rules.map[each] for each in names if isinstance(each, str) and each in rules.map)
        if not roles:
            raise AccountError("The provider gives this person no role here")
        links = Links(**{ours: text_at(who.claims, theirs) for ours, theirs in rules.links.items()})
        if person is None:
            person = add_outside_account(
                transaction,
                roles=roles,
                links=links,
                display_name=text_at(who.claims, "name"),
                now=now,
            )
            bindings.bind(transaction, name, who.subject, person.account.id, proof="staff", now=now)
            return person
        set_roles(transaction, person.account.id, roles, now=now, token_life=self._terms.longest_token)
        set_links(transaction, person.account.id, links, now=now, token_life=self._terms.longest_token)
        return person_of(transaction, person.account.id)

    def _unknown(
        self,
        transaction: Transaction,
        name: str,
        who: OutsideIdentity,
        attempt: Attempt,
        browser: str,
        now: datetime,
    ) -> Arrival:
        claim = self.configurations[name].identity
        proven = ""
        if claim is not None and claim.digest != "none" and _is_assured(claim, who.claims):
            proven = text_at(who.claims, claim.claim).lower()
        code = bindings.make_code(transaction, name, who.subject, browser=browser, proven=proven, now=now)
        return Arrival("unknown", attempt.back, code=code, can_prove=bool(proven))


def _provider(settings: ProviderConfiguration, clock: Clock) -> Provider:
    match settings.kind:
        case "oidc":
            return OIDCProvider(settings, clock)
        case "oauth2":
            return OAuth2Provider(settings)
        case "wechat":
            return WeChatProvider(settings)


def _is_assured(claim: IdentityClaim, claims: Mapping[str, Json]) -> bool:
    """Return whether the provider knows the person well enough for its identifier to be believed."""
    return text_at(claims, claim.assurance.claim) in claim.assurance.values
