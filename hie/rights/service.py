"""The requests of persons about their data: made, worked by the desk, carried out, every step kept.

Works in the caller's transaction and never commits. Each step is locked against others of the same request,
stands in an append-only history and in the audit trail of the same transaction.
"""

from dataclasses import dataclass, replace
from datetime import date, tzinfo
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from hie.core.access import SYSTEM
from hie.core.audit.trail import Step
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ParameterValueError,
    UnavailableError,
)
from hie.core.fhir.json import JsonObject, loads
from hie.core.personal_rights import CopyState, Erasure, ErasureRefusal, RecordCopies
from hie.core.ports import ResourceStore
from hie.rights import queries, rules
from hie.rights.correcting import Correcting
from hie.rights.grounds import ground_of
from hie.rights.requests import RightsRequest, View, Wanted, Wish, checked
from hie.rights.rules import Action, Kind, State
from hie.rights.standing import Standing, as_oneself, name_of, on_behalf

_MOST_PATIENTS: Final = 50


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for all requests: days to answer in, the zone of days, who may do what."""

    days: int
    zone: tzinfo
    standing: Standing


class Rights:
    """What persons and desks do with requests; safe to share between threads."""

    def __init__(
        self,
        store: ResourceStore,
        copies: RecordCopies,
        erasure: Erasure | None,
        clock: Clock,
        terms: Terms,
    ) -> None:
        """Take the record, what makes copies, what erases (None: nothing here does), and the terms."""
        self._store = store
        self._copies = copies
        self._erasure = erasure
        self._clock = clock
        self._terms = terms
        self._standing = terms.standing
        self._correcting = Correcting(store, clock)

    @property
    def standing(self) -> Standing:
        """Who may do what."""
        return self._standing

    def patients(self, transaction: Transaction) -> list[JsonObject]:
        """Return the Patients that the requester may ask about: itself and its wards, at most fifty."""
        self._standing.require_person(transaction.requester)
        if self._standing.is_anybody(transaction.requester):
            return []
        with as_oneself(transaction):
            page = self._store.search(transaction, "Patient", [("_count", str(_MOST_PATIENTS))])
        return [loads(each.resource.body or b"{}") for each in page.entries]

    def resource(self, transaction: Transaction, reference: str) -> JsonObject:
        """Return a resource of the requester's own record; raises NotFoundError."""
        self._standing.require_person(transaction.requester)
        resource_type, _, resource_id = reference.partition("/")
        with as_oneself(transaction):
            stored = self._store.read(transaction, resource_type, resource_id)
        found: JsonObject = loads(stored.body or b"{}")
        return found

    def request(
        self,
        transaction: Transaction,
        kind: Kind,
        patient: str,
        *,
        reason: str = "",
        wish: Wish | None = None,
    ) -> RightsRequest:
        """Make a request about the record of the Patient with the id `patient`; return it.

        Raises ForbiddenError for who may not ask, NotFoundError for another's record, ParameterValueError,
        and ConflictError where a request about the same is open.
        """
        who = transaction.requester
        self._standing.require_person(who)
        if (kind is Kind.CORRECTION) != (wish is not None):
            raise ParameterValueError("A correction, and only that, names an element", expression="element")
        now = self._clock.now()
        with as_oneself(transaction):
            self._store.read(transaction, "Patient", patient)
            correction = None
            if wish is not None:
                correction = self._correcting.wish(
                    transaction,
                    patient,
                    resource=wish.resource,
                    element=wish.element,
                    wished=checked(wish.wished, "wished"),
                )
        made = RightsRequest(
            uuid4(),
            kind,
            patient,
            name_of(who),
            replace(who, session=""),
            State.REQUESTED,
            now,
            rules.due(now, self._terms.days),
            reason=checked(reason, "reason"),
            correction=correction,
        )
        if not queries.add(transaction, made):
            raise ConflictError(f"A {kind} of this is asked for already and not answered yet")
        self._keep(transaction, made, Action.REQUEST, "C")
        return made

    def act(
        self, transaction: Transaction, identity: UUID, action: Action, *, ground: str = "", remark: str = ""
    ) -> RightsRequest:
        """Do the next step of a request; return it as it then stands.

        `remark` is for the history; with `disagree` it is the person's statement. Raises NotFoundError,
        ForbiddenError, ParameterValueError for a missing or unknown `ground` of a refusal, and ConflictError
        for a step that is not possible now, of an erasure also while the law has the record kept.
        """
        said = checked(remark, "remark")
        before = queries.read(transaction, identity, is_locked=True)
        self._require_side(transaction, before, action)
        state = rules.following(before.done, action)
        made = replace(before, state=state)
        code = ""
        match action:
            case Action.REJECT:
                code = ground_of(ground, before.kind).code
            case Action.DISAGREE:
                if not said:
                    raise ParameterValueError("A statement of disagreement has words", expression="remark")
                made, said = replace(made, statement=said), ""
            case Action.ACCEPT:
                made = self._accept(transaction, made)
            case Action.RENEW:
                state_of_copy = self._copy_state(transaction, before)
                if state_of_copy is not None and not state_of_copy.is_failed:
                    raise ConflictError("The copy is being made")
                made = self._begin_copy(transaction, made)
            case Action.COMPLETE if before.kind is Kind.CORRECTION:
                said = "\n".join(filter(None, (self._correcting.correct(transaction, before), said)))
            case Action.COMPLETE:
                self._erase(transaction, before)
            case _:
                pass
        queries.change(transaction, made)
        self._keep(transaction, made, action, "U", ground=code, remark=said)
        if action is Action.COMPLETE and made.kind is Kind.ERASURE:
            queries.forget(transaction, made.patient)
        return made

    def copy_made(self, transaction: Transaction, request: str) -> None:
        """Complete the request whose copy is made; `hie.core.personal_rights.CopyMade`.

        One that was cancelled or refused in the meantime stays so.
        """
        with on_behalf(transaction, SYSTEM):
            stored = queries.read(transaction, UUID(request), is_locked=True)
            if stored.state is not State.ACCEPTED:
                return
            made = replace(stored, state=State.COMPLETED)
            queries.change(transaction, made)
            self._keep(transaction, made, Action.COMPLETE, "U")

    def view(self, transaction: Transaction, identity: UUID) -> View:
        """Return a request to whoever made it or works its kind; raises NotFoundError."""
        request = queries.read(transaction, identity)
        is_own, is_desk = self._is_own(transaction, request), self._is_desk(transaction, request)
        if not is_own and not is_desk:
            raise NotFoundError(f"There is no request `{identity}`")
        actions = {each for each in rules.possible(request.done) if (is_own if each.is_persons else is_desk)}
        is_kept = request.kind is Kind.ERASURE and request.state.is_open and self._erasure is not None
        return View(
            request,
            queries.steps(transaction, identity),
            frozenset(actions),
            rules.is_overdue(request.state, request.due_at, self._clock.now()),
            self._copy_state(transaction, request),
            self._refusal(transaction, request.patient) if is_kept else None,
        )

    def own(self, transaction: Transaction, *, limit: int = 50) -> list[RightsRequest]:
        """Return the requests that the requester made, the newest first."""
        self._standing.require_person(transaction.requester)
        wanted = Wanted(account=name_of(transaction.requester))
        return queries.newest(transaction, wanted, limit=limit)

    def list(
        self,
        transaction: Transaction,
        states: frozenset[State] = rules.OPEN,
        *,
        is_overdue: bool = False,
        before: RightsRequest | None = None,
        limit: int = 50,
    ) -> list[RightsRequest]:
        """Return requests that the requester works, the newest first, those made earlier than `before`."""
        kinds = self._standing.require_desk(transaction.requester)
        wanted = Wanted(
            states=states,
            kinds=kinds,
            overdue_at=self._clock.now() if is_overdue else None,
            before=None if before is None else (before.made_at, before.id),
        )
        return queries.newest(transaction, wanted, limit=limit)

    def counts(self, transaction: Transaction) -> tuple[int, int]:
        """Return how many requests are open, and how many of those overdue."""
        self._standing.require_desk(transaction.requester)
        return queries.counts(transaction, self._clock.now())

    def file(self, transaction: Transaction, identity: UUID, name: str) -> Path:
        """Return where a file of a copy stands, to who asked for it and still may; raises NotFoundError."""
        request = queries.read(transaction, identity)
        if not self._is_own(transaction, request) or request.state is not State.COMPLETED or not request.job:
            raise NotFoundError(f"There is no copy `{identity}`")
        with as_oneself(transaction):
            self._store.read(transaction, "Patient", request.patient)
        with on_behalf(transaction, request.requester):
            found = self._copies.file(transaction, request.job, name)
        transaction.note(self._step(request, "fetch", "R", state=request.state))
        return found

    def _accept(self, transaction: Transaction, request: RightsRequest) -> RightsRequest:
        if request.kind is Kind.COPY:
            return self._begin_copy(transaction, request)
        if request.kind is Kind.ERASURE:
            self._require_erasable(transaction, request.patient)
        return request

    def _begin_copy(self, transaction: Transaction, request: RightsRequest) -> RightsRequest:
        with on_behalf(transaction, request.requester):
            job = self._copies.begin(transaction, request.patient, str(request.id))
        return replace(request, job=job)

    def _copy_state(self, transaction: Transaction, request: RightsRequest) -> CopyState | None:
        if not request.job:
            return None
        with on_behalf(transaction, request.requester):
            return self._copies.state(transaction, request.job)

    def _erase(self, transaction: Transaction, request: RightsRequest) -> None:
        erasure = self._require_erasable(transaction, request.patient)
        for other in queries.open_about(transaction, request.patient, request.id):
            found = queries.read(transaction, other, is_locked=True)
            cancelled = replace(found, state=State.CANCELLED)
            queries.change(transaction, cancelled)
            self._keep(transaction, cancelled, Action.CANCEL, "U", remark=f"erasure {request.id}")
        erasure.erase(transaction, request.patient, reason=f"rights request {request.id}")

    def _require_erasable(self, transaction: Transaction, patient: str) -> Erasure:
        if self._erasure is None:
            raise UnavailableError("This exchange erases no records")
        refusal = self._refusal(transaction, patient)
        if refusal is not None:
            until = f" until {refusal.until}" if refusal.until else ""
            raise ConflictError(f"The record is kept by law{until}: {refusal.code}, {refusal.source}")
        return self._erasure

    def _refusal(self, transaction: Transaction, patient: str) -> ErasureRefusal | None:
        return None if self._erasure is None else self._erasure.refusal(transaction, patient, self._today())

    def _require_side(self, transaction: Transaction, request: RightsRequest, action: Action) -> None:
        """Raise NotFoundError or ForbiddenError unless the requester may do `action` to `request` at all."""
        is_own, is_desk = self._is_own(transaction, request), self._is_desk(transaction, request)
        if not is_own and not is_desk:
            raise NotFoundError(f"There is no request `{request.id}`")
        if not (is_own if action.is_persons else is_desk):
            raise ForbiddenError(f"`{action}` is not for the requester to do")
        if is_own and is_desk and not action.is_persons and not self._is_anybody(transaction):
            raise ForbiddenError("Nobody answers a request of one's own")

    def _is_own(self, transaction: Transaction, request: RightsRequest) -> bool:
        who = transaction.requester
        try:
            self._standing.require_person(who)
        except ForbiddenError:
            return False
        return (who.kind, who.id) == (request.requester.kind, request.requester.id)

    def _is_desk(self, transaction: Transaction, request: RightsRequest) -> bool:
        try:
            self._standing.require_desk(transaction.requester, request.kind)
        except ForbiddenError:
            return False
        return True

    def _is_anybody(self, transaction: Transaction) -> bool:
        return self._standing.is_anybody(transaction.requester)

    def _keep(
        self,
        transaction: Transaction,
        request: RightsRequest,
        action: Action,
        audited: str,
        *,
        ground: str = "",
        remark: str = "",
    ) -> None:
        """Add the step to the history and to the audit trail."""
        queries.add_step(
            transaction,
            request.id,
            action=action,
            state=request.state,
            at=self._clock.now(),
            by=name_of(transaction.requester),
            ground=ground,
            remark=remark,
        )
        transaction.note(self._step(request, action, audited, state=request.state, ground=ground))

    def _step(self, request: RightsRequest, word: str, audited: str, **detail: str) -> Step:
        return Step(
            f"rights-{word}",
            "C" if audited == "C" else "R" if audited == "R" else "U",
            target=f"Patient/{request.patient}",
            patients=(request.patient,),
            is_change=audited != "R",
            detail={
                "request": str(request.id),
                "kind": request.kind,
                **{name: value for name, value in detail.items() if value},
            },
        )

    def _today(self) -> date:
        return self._clock.now().astimezone(self._terms.zone).date()
