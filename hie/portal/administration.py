"""The system administrator's pages: accounts with their roles, and registered clients.

Only accounts with that role see them; records are not among what it administers.
"""

from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from hie.core import smart_scopes
from hie.core.access import Role
from hie.core.errors import ExchangeError, ForbiddenError, RequestError
from hie.core.fhir.json import loads
from hie.core.security_errors import AccountError, PasswordError, RegistrationError
from hie.identity import accounts, clients, second_factor
from hie.identity.accounts import Links
from hie.identity.clients import Registration
from hie.identity.service import Identity, Visitor
from hie.portal.page import Pages
from hie.portal.visits import Visits, record_change

PATH: Final = "/administration"
_Text = Annotated[str, Form(max_length=4000)]
_Choices = Annotated[list[Role] | None, Form()]


class Administration:
    """What the pages share: who may open them, and how they are shown."""

    def __init__(self, pages: Pages, identity: Identity) -> None:
        """Take what renders the pages, and what they are about."""
        self.pages = pages
        self.identity = identity
        self.visits = Visits(identity)

    def administrator(self, request: Request, form_token: str | None = None) -> Visitor:
        """Return who is signed in (`Visits.require`); raises ForbiddenError for any other role."""
        visitor = self.visits.require(request, form_token)
        if Role.SYSTEM_ADMINISTRATOR not in visitor.person.roles:
            raise ForbiddenError("Accounts and clients are the system administrator's")
        return visitor

    def show(
        self, request: Request, visitor: Visitor, *, fault: str = "", made: str = "", secret: str = ""
    ) -> Response:
        """Return the page: with what went wrong, or with what was registered just now."""
        with self.identity.database.transaction() as transaction:
            people = accounts.list_accounts(transaction)
            registered = clients.list_clients(transaction)
        return self.pages.render(
            request,
            "administration.html",
            status=HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK,
            people=people,
            clients=registered,
            every_role=tuple(Role),
            own_id=visitor.person.account.id,
            form_token=visitor.session.form_token,
            auth_methods=clients.AUTH_METHODS,
            has_second_factor=second_factor.is_set_up,
            fault=fault,
            made=made,
            secret=secret,
        )


def mount(router: APIRouter, pages: Pages, identity: Identity) -> None:
    """Add the pages to `router`."""
    desk = Administration(pages, identity)

    @router.get(PATH)
    def administration(request: Request) -> Response:
        return desk.show(request, desk.administrator(request))

    _mount_accounts(router, desk)
    _mount_changes(router, desk)
    _mount_clients(router, desk)


def _mount_accounts(router: APIRouter, desk: Administration) -> None:
    identity = desk.identity

    @router.post(PATH + "/accounts")
    def add(
        request: Request,
        name: _Text,
        password: _Text,
        form_token: _Text,
        roles: _Choices = None,
        display_name: _Text = "",
        patient: _Text = "",
        practitioner: _Text = "",
        organization: _Text = "",
        department: _Text = "",
    ) -> Response:
        visitor = desk.administrator(request, form_token)
        try:
            with identity.database.transaction() as transaction:
                made = accounts.add_account(
                    transaction,
                    name,
                    roles=roles or (),
                    password=password,
                    rule=identity.password_rule,
                    now=identity.clock.now(),
                    display_name=display_name,
                    links=Links(patient, practitioner, organization, department),
                )
                held = " ".join(sorted(roles or ()))
                record_change(
                    transaction,
                    visitor,
                    "account",
                    "C",
                    identity.clock.now(),
                    account=str(made.account.id),
                    roles=held,
                )
        except (AccountError, PasswordError) as error:
            return desk.show(request, visitor, fault=error.message)
        return RedirectResponse(PATH, HTTPStatus.SEE_OTHER)


def _mount_changes(router: APIRouter, desk: Administration) -> None:
    identity = desk.identity

    @router.post(PATH + "/accounts/{account_id}")
    def change(
        request: Request, account_id: UUID, form_token: _Text, action: _Text, roles: _Choices = None
    ) -> Response:
        visitor = desk.administrator(request, form_token)
        if account_id == visitor.person.account.id:
            return desk.show(request, visitor, fault="Nobody administers their own account")
        now, life = identity.clock.now(), identity.terms.longest_token
        try:
            with identity.database.transaction() as transaction:
                if action == "roles":
                    accounts.set_roles(transaction, account_id, roles or (), now=now, token_life=life)
                elif action in ("disable", "enable"):
                    accounts.set_disabled(
                        transaction, account_id, is_disabled=action == "disable", now=now, token_life=life
                    )
                elif action == "second-factor":
                    second_factor.remove(transaction, account_id)
                    accounts.end_everything(transaction, account_id, now=now, token_life=life)
                else:
                    raise RequestError("That is nothing to do with an account")
                record_change(
                    transaction,
                    visitor,
                    f"account-{action}",
                    "U",
                    now,
                    account=str(account_id),
                    roles=" ".join(sorted(roles or ())),
                )
        except AccountError as error:
            return desk.show(request, visitor, fault=error.message)
        return RedirectResponse(PATH, HTTPStatus.SEE_OTHER)


def _mount_clients(router: APIRouter, desk: Administration) -> None:
    identity = desk.identity

    @router.post(PATH + "/clients")
    def register(
        request: Request,
        name: _Text,
        auth_method: _Text,
        scopes: _Text,
        form_token: _Text,
        redirect_uris: _Text = "",
        launch_uri: _Text = "",
        jwks: Annotated[str, Form(max_length=20_000)] = "",
        jwks_uri: _Text = "",
        organization: _Text = "",
    ) -> Response:
        visitor = desk.administrator(request, form_token)
        addresses = tuple(redirect_uris.split())
        try:
            keys = loads(jwks) if jwks.strip() else None
            if keys is not None and not isinstance(keys, dict):
                raise RegistrationError("The JWK Set is no JSON object")
            if jwks_uri:
                identity.published.check(jwks_uri)
            registration = Registration(
                name=name,
                auth_method=auth_method,
                scopes=smart_scopes.split(" ".join(scopes.split())),
                redirect_uris=addresses,
                grant_types=clients.usual_grant_types(auth_method, has_pages=bool(addresses)),
                jwks=keys,
                jwks_uri=jwks_uri,
                launch_uri=launch_uri,
                organization_id=organization,
            )
            with identity.database.transaction() as transaction:
                now = identity.clock.now()
                made, secret = clients.register(transaction, registration, now=now)
                record_change(transaction, visitor, "client", "C", now, client=made.id, scopes=scopes)
        except ExchangeError as error:
            return desk.show(request, visitor, fault=error.message)
        return desk.show(request, visitor, made=made.id, secret=secret or "")

    @router.post(PATH + "/clients/{client_id}")
    def change_client(request: Request, client_id: str, form_token: _Text, action: _Text) -> Response:
        visitor = desk.administrator(request, form_token)
        now = identity.clock.now()
        with identity.database.transaction() as transaction:
            clients.set_disabled(
                transaction,
                client_id,
                is_disabled=action == "disable",
                now=now,
                token_life=identity.terms.longest_token,
            )
            what = "client-disable" if action == "disable" else "client-enable"
            record_change(transaction, visitor, what, "U", now, client=client_id)
        return RedirectResponse(PATH, HTTPStatus.SEE_OTHER)
