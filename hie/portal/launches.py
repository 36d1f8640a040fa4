"""Opening an app from a patient's chart: the EHR launch of SMART App Launch.

http://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch. The app is led to with the
address of the FHIR server and a word that stands for this chart, this person and this app.
"""

from http import HTTPStatus
from typing import Annotated

from authlib.common.urls import add_params_to_uri
from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from hie.identity import authorization, clients
from hie.identity.service import Identity
from hie.portal.former_identities import VersionedStore
from hie.portal.page import HEADERS, Pages
from hie.portal.people import person_of
from hie.portal.visits import Visits

_Text = Annotated[str, Form(max_length=1000)]


def mount(router: APIRouter, pages: Pages, identity: Identity, store: VersionedStore) -> None:
    """Add the pages to `router`."""
    visits = Visits(identity)

    @router.get("/patients/{patient_id}/apps")
    def apps(request: Request, patient_id: str) -> Response:
        visitor = visits.require(request)
        requester = visitor.person.requester(session=str(visitor.session.id))
        with identity.database.transaction(requester=requester) as transaction:
            person = person_of(transaction, store, patient_id)
            found = [
                each for each in clients.list_clients(transaction) if each.launch_uri and not each.is_disabled
            ]
        places = " ".join(clients.place_of(each.launch_uri) for each in found)
        policy = HEADERS["Content-Security-Policy"].replace(
            "form-action 'self'", f"form-action 'self' {places}"
        )
        return pages.render(
            request,
            "apps.html",
            headers={"Content-Security-Policy": policy},
            person=person,
            patient_id=patient_id,
            apps=found,
            form_token=visitor.session.form_token,
        )

    @router.post("/patients/{patient_id}/apps")
    def launch(request: Request, patient_id: str, client_id: _Text, form_token: _Text) -> Response:
        visitor = visits.require(request, form_token)
        with identity.work() as work:
            work.transaction.requester = visitor.person.requester(session=str(visitor.session.id))
            store.read(work.transaction, "Patient", patient_id)
            client, secret = authorization.make_launch(work, visitor.person, client_id, patient=patient_id)
        address = add_params_to_uri(client.launch_uri, [("iss", identity.terms.base_url), ("launch", secret)])
        return RedirectResponse(address, HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"})
