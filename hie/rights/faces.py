"""Requests, receipts and entries of the register as JSON, a request also as a FHIR Task.

https://hl7.org/fhir/R4/task.html. The Task is a face of the request and is not stored: in the repository it
would stand in the patient's compartment, where everybody who treats the patient reads it.
"""

from base64 import b64encode
from datetime import datetime
from typing import Final

import orjson

from hie.core.fhir.json import JsonObject
from hie.rights.grounds import load_grounds
from hie.rights.requests import RequestStep, RightsRequest, View
from hie.rights.signing import Receipt

_CODE_SYSTEM: Final = "http://hie.example/fhir/CodeSystem/rights-request"


def as_task(view: View) -> JsonObject:
    """Return the FHIR Task that a request is."""
    request = view.request
    last = view.steps[-1]
    made: JsonObject = {
        "resourceType": "Task",
        "id": str(request.id),
        "status": request.state.value,
        "intent": "order",
        "code": {"coding": [{"system": _CODE_SYSTEM, "code": request.kind.value}]},
        "for": {"reference": f"Patient/{request.patient}"},
        "authoredOn": request.made_at.isoformat(),
        "lastModified": last.at.isoformat(),
        "restriction": {"period": {"end": request.due_at.isoformat()}},
    }
    reason = next((step for step in reversed(view.steps) if step.ground), None)
    if reason is not None:
        made["statusReason"] = {"text": _ground_text(reason.ground)}
    if request.correction is not None:
        made["focus"] = {"reference": request.correction.resource}
    notes = [{"time": step.at.isoformat(), "text": step.remark} for step in view.steps if step.remark]
    if notes:
        made["note"] = notes
    return made


def as_json(view: View) -> JsonObject:
    """Return a request with its history, and how its copy or its erasure stands."""
    made = summary(view.request, is_overdue=view.is_overdue)
    made["actions"] = sorted(view.actions)
    made["history"] = [_step(step) for step in view.steps]
    if view.copy is not None:
        made["copy"] = {
            "is_made": view.copy.is_made,
            "is_failed": view.copy.is_failed,
            "files": list(view.copy.files),
            "expires_at": _moment(view.copy.expires_at),
        }
    if view.refusal is not None:
        until = view.refusal.until
        made["kept_by_law"] = {
            "ground": view.refusal.code,
            "until": until.isoformat() if until else None,
            "source": view.refusal.source,
        }
    return made


def summary(request: RightsRequest, *, is_overdue: bool) -> JsonObject:
    """Return a request as lists show it."""
    made: JsonObject = {
        "id": str(request.id),
        "kind": request.kind,
        "patient": request.patient,
        "state": request.state,
        "made_at": _moment(request.made_at),
        "due_at": _moment(request.due_at),
        "is_overdue": is_overdue,
    }
    return {**made, **request.details}


def receipt_json(receipt: Receipt) -> JsonObject:
    """Return a receipt with its proof; the receipt's bytes are those that were signed."""
    return {
        "receipt": orjson.Fragment(receipt.body),
        "proof": {
            "digest": {"algorithm": receipt.digest_name, "value": receipt.digest.hex()},
            "signature": {
                "algorithm": receipt.algorithm,
                "key": receipt.key,
                "public_key": receipt.public.hex(),
                "value": b64encode(receipt.signature).decode(),
            },
        },
    }


def receipt_summary(receipt: Receipt) -> JsonObject:
    """Return a receipt as lists show it."""
    return {
        "id": str(receipt.id),
        "consent": f"Consent/{receipt.consent}/_history/{receipt.version}",
        "event": receipt.event,
        "made_at": _moment(receipt.made_at),
    }


def _step(step: RequestStep) -> JsonObject:
    made: JsonObject = {
        "number": step.number,
        "action": step.action,
        "state": step.state,
        "at": _moment(step.at),
        "by": step.by,
    }
    if step.ground:
        found = load_grounds().get(step.ground)
        made["ground"] = step.ground
        made["source"] = found.source if found else ""
    if step.remark:
        made["remark"] = step.remark
    return made


def _ground_text(code: str) -> str:
    found = load_grounds().get(code)
    return code if found is None else f"{found.zh}（{found.source}） {found.en}"


def _moment(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None
