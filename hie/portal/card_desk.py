"""The card desk links a person of a provider outside to the Patient whose papers lie on the desk.

The person shows the code that signing in gave; the desk reads the number from card or ID, sees whose it is,
and says so. Whose the code is stays unknown to it.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from hie.core.access import Role
from hie.core.errors import ForbiddenError
from hie.identity.outside import bindings
from hie.identity.service import Identity, Visitor
from hie.portal import source_patient
from hie.portal.former_identities import VersionedStore
from hie.portal.outside_patients import StoredPatients
from hie.portal.page import Pages
from hie.portal.searches import escape
from hie.portal.source_patient import SourcePatient
from hie.portal.visits import Visits, record_change

PATH: Final = "/card-desk"
_Text = Annotated[str, Form(max_length=200)]


def mount(router: APIRouter, pages: Pages, identity: Identity, store: VersionedStore) -> None:
    """Add the pages to `router`."""
    visits, patients = Visits(identity), StoredPatients(store)

    def require(request: Request, form_token: str | None = None) -> Visitor:
        visitor = visits.require(request, form_token)
        if Role.CARD_DESK not in visitor.person.roles:
            raise ForbiddenError("The page is for card desks")
        return visitor

    def page(
        request: Request,
        visitor: Visitor,
        *,
        code: str = "",
        number: str = "",
        found: Sequence[SourcePatient] = (),
        said: str = "",
        status: int = HTTPStatus.OK,
    ) -> Response:
        return pages.render(
            request,
            "card_desk.html",
            status=status,
            form_token=visitor.session.form_token,
            code=code,
            number=number,
            found=found,
            said=said,
        )

    @router.get(PATH)
    def desk(request: Request) -> Response:
        return page(request, require(request))

    @router.post(PATH + "/find")
    def find(request: Request, code: _Text, number: _Text, form_token: _Text) -> Response:
        visitor = require(request, form_token)
        requester = visitor.person.requester(session=str(visitor.session.id))
        with identity.database.transaction(requester=requester) as transaction:
            is_known = bindings.unlinked(transaction, code, now=identity.clock.now()) is not None
            found = patients.all_with(transaction, escape(number.strip())) if number.strip() else []
        if not is_known or not found:
            said = "entry.desk-no-patient" if is_known else "entry.desk-no-code"
            return page(request, visitor, code=code, number=number, said=said, status=HTTPStatus.NOT_FOUND)
        people = [source_patient.read(each, {}) for each in found]
        return page(request, visitor, code=code, number=number, found=people)

    @router.post(PATH + "/link")
    def link(request: Request, code: _Text, patient: _Text, form_token: _Text) -> Response:
        visitor = require(request, form_token)
        requester = visitor.person.requester(session=str(visitor.session.id))
        now = identity.clock.now()
        with identity.database.transaction(requester=requester) as transaction:
            store.read(transaction, "Patient", patient)
            who = bindings.unlinked(transaction, code, now=now)
            if who is None:
                return page(request, visitor, said="entry.desk-no-code", status=HTTPStatus.NOT_FOUND)
            person = bindings.account_of_patient(transaction, patient, now=now)
            bindings.bind(
                transaction, who.provider, who.subject, person.account.id, proof="card-desk", now=now
            )
            bindings.end_codes(transaction, who)
            record_change(
                transaction,
                visitor,
                "link-identity",
                "C",
                now,
                account=str(person.account.id),
                provider=who.provider,
            )
        return page(request, visitor, said="entry.desk-linked")
