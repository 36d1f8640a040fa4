"""Identity as one part of the exchange: what the endpoints, the portal and the commands call."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Final
from uuid import UUID

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from joserfc import jws
from joserfc.errors import JoseError

from hie.core import smart_scopes
from hie.core.access import Requester
from hie.core.audit.trail import current
from hie.core.clock import Clock
from hie.core.crypto.data_keys import DataKeys
from hie.core.crypto.secret_box import SecretBox
from hie.core.db.database import Database
from hie.core.errors import ExchangeError
from hie.core.fhir.json import JsonObject, loads
from hie.core.security_errors import InvalidTokenError
from hie.core.settings import Settings, is_loopback
from hie.identity import passwords, revocations, sessions
from hie.identity.accounts import PasswordRule, Person, person_of
from hie.identity.authenticator import TokenAuthenticator, session_secret
from hie.identity.clients import find_client
from hie.identity.demonstration_end import remove_accounts
from hie.identity.external import ExternalProvider
from hie.identity.keys import KeyRing
from hie.identity.oauth_request import FormRequest
from hie.identity.outside.entry import OutsideEntry
from hie.identity.published_keys import PublishedKeys
from hie.identity.revocations import Revocations
from hie.identity.server import NO_STORE, Answer, AuthorizationServer, Terms, Work
from hie.identity.sign_in import SignIn
from hie.identity.tables import PortalSession
from hie.identity.tokens import Tokens

# What the data key of our secrets is called.
_SCOPE: Final = "identity"
# One request in this many tidies up; more often would only find nothing.
_TIDY_EVERY: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who uses the portal; `secret` is what the session's cookie holds."""

    session: PortalSession
    person: Person
    secret: str = field(repr=False)


class Identity:
    """Accounts, clients and tokens of one process; safe to share between threads."""

    def __init__(self, database: Database, settings: Settings, clock: Clock, keys: DataKeys) -> None:
        """Take the parts; nothing is read or made until it is needed."""
        self.database = database
        self.clock = clock
        self.terms = Terms.of(settings)
        self.wrapper = SecretBox(database, keys, scope=_SCOPE)
        self.keys = KeyRing(
            database,
            self.wrapper,
            clock,
            longest_age=timedelta(days=settings.signing_key_days),
            token_life=self.terms.longest_token,
        )
        self.tokens = Tokens(self.keys, issuer=self.terms.issuer, base_url=self.terms.base_url)
        self.published = PublishedKeys(settings.client_jwks_sources, clock)
        self.sign_in = SignIn(database, self.wrapper, clock, self.terms.sessions)
        self._settings = settings
        self._tidied_at = clock.now()

    @cached_property
    def authenticator(self) -> TokenAuthenticator:
        """What says who sends a request."""
        return TokenAuthenticator(
            self.database,
            self.keys,
            Revocations(self.database, self.clock),
            self.terms,
            self.clock,
            external=ExternalProvider.of(self._settings, self.clock),
        )

    @cached_property
    def outside(self) -> OutsideEntry:
        """The providers of identity outside."""
        return OutsideEntry(
            self._settings,
            database=self.database,
            clock=self.clock,
            terms=self.terms,
            sign_in=self.sign_in,
        )

    @cached_property
    def password_rule(self) -> PasswordRule:
        """What new passwords must be."""
        return PasswordRule.of(self._settings.password_length, self._settings.password_blocklist)

    def prepare(self) -> None:
        """Make what the first request would wait for; take away what is only for laboratories.

        Demonstration accounts do not outlive the loopback address.
        """
        self.keys.published()
        passwords.prepare()
        _ = self.outside  # a bad file of providers stops the start
        if not is_loopback(self._settings.host):
            with self.database.transaction() as transaction:
                remove_accounts(transaction, now=self.clock.now(), token_life=self.terms.longest_token)

    @contextmanager
    def work(self) -> Iterator[Work]:
        """Open a transaction for one request to the authorization server."""
        # Looked up here, since making keys needs a transaction of its own.
        self.keys.published()
        now = self.clock.now()
        with self.database.transaction() as transaction:
            if now - self._tidied_at > _TIDY_EVERY:
                self._tidied_at = now
                revocations.forget_expired(transaction, now)
            yield Work(transaction, now, self.terms, self.tokens, self.keys, self.published)

    def visitor(self, cookies: str) -> "Visitor | None":
        """Return who uses the portal by the Cookie header; a session may still wait for the second factor."""
        secret = session_secret(cookies, self.terms)
        if not secret:
            return None
        with self.database.transaction() as transaction:
            row = sessions.find(transaction, secret, lifetimes=self.terms.sessions, now=self.clock.now())
            if row is None:
                return None
            person = person_of(transaction, row.account_id)
        if person.account.is_disabled:
            return None
        return Visitor(row, person.limited(self.terms.second_factor_roles), secret)

    def token(self, headers: Mapping[str, str], parameters: Mapping[str, str]) -> Answer:
        """Return the answer of the token endpoint."""
        return self._answer("token", headers, parameters, AuthorizationServer.create_token_response)

    def revoke(self, headers: Mapping[str, str], parameters: Mapping[str, str]) -> Answer:
        """Return the answer of the revocation endpoint."""
        return self._answer(
            "revoke",
            headers,
            parameters,
            lambda server, request: server.create_endpoint_response("revocation", request),
        )

    def introspect(self, headers: Mapping[str, str], parameters: Mapping[str, str]) -> Answer:
        """Return the answer of the introspection endpoint."""
        return self._answer(
            "introspect",
            headers,
            parameters,
            lambda server, request: server.create_endpoint_response("introspection", request),
        )

    def user_info(self, requester: Requester) -> JsonObject:
        """Return the claims of the userinfo endpoint (OpenID Connect Core, 5.3); raises InvalidTokenError."""
        if requester.kind != "person" or "openid" not in (requester.scopes or ()):
            raise InvalidTokenError("The access token was not granted openid")
        with self.database.transaction() as transaction:
            try:
                person = person_of(transaction, UUID(requester.id))
            except (ValueError, ExchangeError) as error:
                raise InvalidTokenError("The access token is of nobody who is known here") from error
            return self.tokens.user_claims(person, requester.scopes or ())

    def refuse(self, error: OAuth2Error) -> Answer:
        """Return the answer that `error` is, where it was raised before there was a request."""
        status, body, _ = error()
        return Answer(status, body, NO_STORE)

    def token_for_client(self, client_id: str, scope: str) -> Answer:
        """Return the token response of a client on its own behalf, for who administers this machine.

        Raises InvalidRequestError for an unknown client or where nothing of `scope` is granted.
        """
        with self.work() as work:
            client = find_client(work.transaction, client_id)
            if client is None:
                raise InvalidRequestError("There is no such client.")
            server = AuthorizationServer(work)
            if not server.backend_scopes(client, scope):
                registered = " ".join(each for each in client.row.scopes if smart_scopes.parse(each))
                raise InvalidRequestError(f"The client registered for: {registered or 'no resources'}.")
            body = server.generate_token("client_credentials", client, scope=scope)
            return Answer(200, body, NO_STORE)

    def _answer(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        parameters: Mapping[str, str],
        respond: Callable[[AuthorizationServer, FormRequest], Answer],
    ) -> Answer:
        request = FormRequest("POST", f"{self.terms.issuer}/oauth/{endpoint}", headers, parameters)
        if "Authorization" in request.headers and not {"client_secret", "client_assertion"}.isdisjoint(
            parameters
        ):
            # RFC 6749, 2.3
            return self.refuse(InvalidRequestError("The client authenticates in more than one way."))
        self._fetch_keys(parameters)
        with self.work() as work:
            answer = respond(AuthorizationServer(work), request)
        trail = current()
        if trail is not None:
            client = request.client.get_client_id() if request.client is not None else "unknown"
            trail.note(client=client, reason=str(answer.body.get("error", "issued")))
        return answer

    def _fetch_keys(self, parameters: Mapping[str, str]) -> None:
        """Fetch the keys that an assertion needs, before a connection to the database waits for them."""
        assertion = parameters.get("client_assertion")
        if not assertion:
            return
        try:
            read = jws.extract_compact(assertion.encode())
            claims = loads(read.payload)
            key_id, client_id = str(read.headers().get("kid", "")), claims["sub"]
        except (JoseError, ValueError, ExchangeError, TypeError, KeyError):
            return  # the endpoint says what is wrong with it
        with self.database.transaction() as transaction:
            client = find_client(transaction, client_id if isinstance(client_id, str) else None)
            url = "" if client is None else client.row.jwks_uri
        if url:
            try:
                self.published.of(url, key_id)
            except ExchangeError:
                return  # the endpoint says so, in the words of the protocol
