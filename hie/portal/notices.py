"""The citizen's inbox: Communications to a Patient, an emergency access to the record among them.

https://hl7.org/fhir/R4/communication.html
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject, loads
from hie.core.ports import ResourceStore
from hie.portal.consents import CITIZENS
from hie.portal.page import Pages, requester_of
from hie.portal.people_of_trail import own_patient, require_role

_MOST = "100"


def mount(router: APIRouter, pages: Pages, database: Database, store: ResourceStore) -> None:
    """Add the page to `router`."""

    @router.get("/my/notices")
    def notices(request: Request, patient: Annotated[str, Query(max_length=64)] = "") -> HTMLResponse:
        require_role(request, CITIZENS)
        own = own_patient(request, patient)
        with database.transaction(requester=requester_of(request)) as transaction:
            wanted = [("recipient", f"Patient/{own}"), ("_sort", "-sent"), ("_count", _MOST)]
            page = store.search(transaction, "Communication", wanted) if own else None
        found = [loads(each.resource.body or b"{}") for each in (page.entries if page else ())]
        return pages.render(
            request,
            "notices.html",
            notices=[(_sent(each, pages), _texts(each), _is_emergency(each)) for each in found],
            patient=own,
            is_asking=getattr(request.state, "requester", None) is None,
        )


def _sent(communication: JsonObject, pages: Pages) -> datetime | None:
    text = str(communication.get("sent", ""))
    try:
        sent = datetime.fromisoformat(text)
    except ValueError:
        return None
    return sent.astimezone(pages.zone) if sent.tzinfo else None


def _texts(communication: JsonObject) -> list[str]:
    return [
        str(each["contentString"]) for each in communication.get("payload", ()) if each.get("contentString")
    ]


def _is_emergency(communication: JsonObject) -> bool:
    codes = (
        coding.get("code")
        for reason in communication.get("reasonCode", ())
        for coding in reason.get("coding", ())
    )
    return any(code in ("ETREAT", "BTG") for code in codes)
