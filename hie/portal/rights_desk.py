"""The desk's pages: requests of persons about their data, answered one by one."""

from collections.abc import Mapping
from datetime import date
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from hie.core.errors import ConflictError, ParameterValueError
from hie.portal.language import Language
from hie.portal.own_site import require_own_site
from hie.portal.page import Pages, language_of, query, requester_of
from hie.portal.rights_words import ground_text, text_of
from hie.rights import rules
from hie.rights.bureau import Bureau
from hie.rights.grounds import grounds_of
from hie.rights.requests import LONGEST
from hie.rights.rules import Action, State

_PATH: Final = "/rights"
_PAGE: Final = 50
_LONGEST_CODE: Final = 64
_SAID: Final = frozenset({"done", "conflict", "value"})
_STATES: Final[Mapping[str, frozenset[State]]] = MappingProxyType(
    {
        "": rules.OPEN,
        "overdue": rules.OPEN,
        **{state.value: frozenset({state}) for state in State if not state.is_open},
    }
)


def mount(router: APIRouter, pages: Pages, bureau: Bureau) -> None:
    """Add the pages to `router`."""
    rights = bureau.rights

    @router.get(_PATH)
    def listed(request: Request, show: str = "", before: UUID | None = None) -> HTMLResponse:
        chosen = show if show in _STATES else ""
        now = bureau.clock.now()
        with bureau.database.transaction(requester=requester_of(request)) as transaction:
            last = None if before is None else rights.view(transaction, before).request
            found = rights.list(
                transaction,
                _STATES[chosen],
                is_overdue=chosen == "overdue",
                before=last,
                limit=_PAGE + 1,
            )
            waiting, overdue = rights.counts(transaction)
        return pages.render(
            request,
            "rights_desk.html",
            requests=[
                (
                    each,
                    each.made_at.astimezone(pages.zone),
                    each.due_at.astimezone(pages.zone),
                    rules.is_overdue(each.state, each.due_at, now),
                )
                for each in found[:_PAGE]
            ],
            choices=tuple(_STATES),
            show=chosen,
            waiting=waiting,
            overdue=overdue,
            last=found[_PAGE - 1].id if len(found) > _PAGE else "",
        )

    @router.get(_PATH + "/{identity}")
    def one(request: Request, identity: UUID, said: str = "") -> HTMLResponse:
        with bureau.database.transaction(requester=requester_of(request)) as transaction:
            rights.standing.require_desk(transaction.requester)
            view = rights.view(transaction, identity)
        language = language_of(request)
        return pages.render(
            request,
            "rights_request.html",
            view=view,
            made_at=view.request.made_at.astimezone(pages.zone),
            due_at=view.request.due_at.astimezone(pages.zone),
            steps=[
                (each, each.at.astimezone(pages.zone), ground_text(each.ground, language))
                for each in view.steps
            ],
            grounds=[(each.code, text_of(each, language)) for each in grounds_of(view.request.kind)],
            kept=_kept(view.refusal.code, view.refusal.until, language) if view.refusal else "",
            longest=LONGEST,
            said=said if said in _SAID else "",
        )

    @router.post(_PATH + "/{identity}/steps", response_model=None)
    def act(
        request: Request,
        identity: UUID,
        action: Annotated[Action, Form()],
        ground: Annotated[str, Form(max_length=_LONGEST_CODE)] = "",
        remark: Annotated[str, Form(max_length=LONGEST)] = "",
    ) -> RedirectResponse:
        require_own_site(request)
        said = "done"
        try:
            with bureau.database.transaction(requester=requester_of(request)) as transaction:
                rights.standing.require_desk(transaction.requester)
                rights.act(transaction, identity, action, ground=ground, remark=remark)
        except ConflictError:
            said = "conflict"
        except ParameterValueError:
            said = "value"
        return RedirectResponse(f"{_PATH}/{identity}{query(said=said)}", HTTPStatus.SEE_OTHER)


def _kept(code: str, until: date | None, language: Language) -> str:
    return f"{ground_text(code, language)} {until.isoformat() if until else ''}".strip()
