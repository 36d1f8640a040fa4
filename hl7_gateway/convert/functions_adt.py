"""The segment functions of the patient-administration maps.

https://build.fhir.org/ig/HL7/v2-to-fhir/segment_maps.html (PID, PV1).
"""

from datetime import datetime, timedelta
from html import escape
from typing import Final

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import Account
from hl7_gateway.convert.functions import named_function
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes.registry import find
from hl7_gateway.er7.message import Segment
from hl7_gateway.er7.text import part

_PLAN, _SEVERITY, _REACTION, _PERFORMED, _MINUTES, _COUNTY, _DESCRIPTION, _STATUS = 2, 4, 5, 5, 7, 12, 12, 17
_MINUTES_DIGITS = 6
_ONE = (1,)
_DATE_TIME = find("DTM_dateTime").bind()
_SEVERITIES = "AllergySeverity[AllergyIntolerance.reaction.severity]"
_CLASSES = "http://terminology.hl7.org/CodeSystem/coverage-class"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
# Table 0438 (allergy clinical status) to clinicalStatus and verificationStatus, after the meaning of the
# codes.
_STATUSES: Final[dict[str, tuple[str | None, str | None]]] = {
    "U": ("active", "unconfirmed"),
    "P": ("active", "unconfirmed"),
    "S": ("active", "unconfirmed"),
    "D": ("active", "unconfirmed"),
    "C": ("active", "confirmed"),
    "I": ("inactive", "confirmed"),
    "E": (None, "entered-in-error"),
}


@named_function
def county(segment: Segment, resource: JsonObject, _run: Run, account: Account) -> None:
    """PID-12 is the district of the one address of PID-11, else of one of its own (IG, PID[Patient])."""
    code = segment.first(_COUNTY)
    if not code:
        return
    account.cover_repetition(_COUNTY, 0, _ONE)
    addresses = resource.setdefault("address", [])
    if len(addresses) == 1 and addresses[0].get("district", code) == code:
        addresses[0]["district"] = code
    else:
        addresses.append({"district": code})


@named_function
def visit_description(segment: Segment, resource: JsonObject, _run: Run, account: Account) -> None:
    """PV2-12 is the narrative (IG, PV2[Encounter])."""
    text = segment.first(_DESCRIPTION)
    if text:
        account.cover_repetition(_DESCRIPTION, 0, _ONE)
        div = f'<div xmlns="http://www.w3.org/1999/xhtml">{escape(text)}</div>'
        resource["text"] = {"status": "additional", "div": div}


@named_function
def allergy_reaction(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """Each text of AL1-5 or IAM-5 is a manifestation of one reaction, of the severity in field 4."""
    texts = [(n, part(rep, 1)) for n, rep in enumerate(segment.repetitions(_REACTION))]
    manifestations = [{"text": text} for _, text in texts if text]
    if not manifestations:
        return
    account.cover(_REACTION, _ONE)
    reaction: JsonObject = {"manifestation": manifestations}
    code = segment.first(_SEVERITY)
    if code:
        target = run.context.translator.translate(_SEVERITIES, code)
        if target is not None:
            reaction["severity"] = target.code
            account.cover_repetition(_SEVERITY, 0, _ONE)
        else:
            account.fail(_SEVERITY, 0, f"the code has no target in {_SEVERITIES}")
    resource["reaction"] = [reaction]


@named_function
def allergy_status(segment: Segment, resource: JsonObject, _run: Run, account: Account) -> None:
    """IAM-17 (table 0438) says how sure the allergy is; the guide's place for it has other codes.

    An erroneous statement has no clinical status (R4 invariant ait-2).
    """
    known = _STATUSES.get(segment.first(_STATUS))
    clinical, verification = known or ("active", None)
    if known is not None:
        account.cover_repetition(_STATUS, 0, _ONE)
    if clinical is not None:
        resource["clinicalStatus"] = {"coding": [{"system": _CLINICAL, "code": clinical}]}
    if verification is not None:
        resource["verificationStatus"] = {"coding": [{"system": _VERIFICATION, "code": verification}]}


@named_function
def procedure_period(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """PR1-5 and PR1-7 (minutes) make a period, if PR1-5 has a time of day; else PR1-5 stands alone."""
    try:
        start = _DATE_TIME(segment.repetitions(_PERFORMED)[0], run.context)
    except DataTypeError:
        return
    if not isinstance(start, str):
        return
    account.cover_repetition(_PERFORMED, 0, _ONE)
    minutes = segment.first(_MINUTES).strip()
    if len(start) <= len("2026-01-01") or not minutes.isdecimal() or len(minutes) > _MINUTES_DIGITS:
        resource["performedDateTime"] = start
        return
    account.cover_repetition(_MINUTES, 0, _ONE)
    end = datetime.fromisoformat(start) + timedelta(minutes=int(minutes))
    resource["performedPeriod"] = {"start": start, "end": end.isoformat()}


@named_function
def coverage_plan(segment: Segment, resource: JsonObject, _run: Run, account: Account) -> None:
    """IN1-2 is the class "plan": its code the value, its text the name."""
    value, name = segment.first(_PLAN), segment.first(_PLAN, 2)
    if not value and not name:
        return
    account.cover_repetition(_PLAN, 0, (1, 1))
    plan: JsonObject = {"type": {"coding": [{"system": _CLASSES, "code": "plan"}]}, "value": value or name}
    if value and name:
        plan["name"] = name
    resource.setdefault("class", []).append(plan)
