"""What a receipt of consent says, made of the Consent: pure, no database.

The information structure is that of ISO/IEC TS 27560:2023 (https://www.iso.org/standard/80392.html), whose
fields https://w3id.org/dpv/guides/consent-27560 lists with their obligation: header, processing, parties,
events. The standard prescribes no encoding; the names of members are its field names in snake case.
`as_kantara` gives the same as a receipt of the Kantara Consent Receipt Specification 1.1.0
(https://kantarainitiative.org/download/7902/), whose members https://hackmd.io/@VNeqf5SwTyOuKC03vs0EIw/BkRgJ-8rD
shows. A field whose content nobody stated is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from hie.core.fhir.json import Json, JsonObject

SCHEMA: Final = "ISO/IEC TS 27560:2023"
KANTARA: Final = "KI-CR-v1.1.0"
# ISO 3166-1
_JURISDICTION: Final = "CN"
_CONTROLLER: Final = "controller"
_LEGAL_BASIS: Final = "个人信息保护法第十三条第一款第一项"
# Health is sensitive personal information: 个人信息保护法 art. 28.
_SENSITIVE: Final = "医疗健康 (health)"

Event = Literal["given", "withdrawn", "refused", "terminated"]

# https://hl7.org/fhir/R4/valueset-consent-state-codes.html; a draft or proposed Consent is no event yet.
_EVENTS: Final[dict[str, Event]] = {
    "active": "given",
    "inactive": "withdrawn",
    "rejected": "refused",
    "entered-in-error": "terminated",
}
_OPT_OUT: Final = frozenset({"OPTOUT", "OPTOUTE"})


@dataclass(frozen=True, slots=True)
class Controller:
    """Who is responsible for the data, as settings say, and where its notice and its pages are."""

    name: str
    contact: str
    address: str
    email: str
    phone: str
    url: str
    notice: str


def event_of(consent: JsonObject | None) -> Event | None:
    """Return what a version of a Consent does; None where it does nothing. A deleted one is withdrawn.

    An active one whose root denies refuses what it is about.
    """
    if consent is None:
        return "withdrawn"
    found = _EVENTS.get(str(consent.get("status", "")))
    provision = consent.get("provision") or {}
    codes = {code for code, _ in _codings(consent.get("policyRule"))}
    is_denied = provision.get("type") == "deny" or (not provision.get("type") and bool(codes & _OPT_OUT))
    return "refused" if found == "given" and is_denied else found


def receipt_of(
    consent: JsonObject, event: Event, *, receipt: str, reference: str, at: datetime, controller: Controller
) -> JsonObject:
    """Return the receipt with the id `receipt` of one version of a Consent, whose `reference` names it.

    Of a withdrawn one, `consent` is what was withdrawn.
    """
    parties = [_controller(controller), *_recipients(consent)]
    return {
        "schema_version": SCHEMA,
        "receipt_id": receipt,
        "record_id": reference,
        "pii_principal_id": _patient(consent),
        "pii_processing": {
            "privacy_notice": controller.notice,
            "language": str(consent.get("language") or "zh-CN"),
            "purposes": [_purpose(each, consent, controller) for each in _provisions(consent)],
        },
        "party_identification": parties,
        "event": [
            _without_gaps(
                {
                    "event_time": at.isoformat(),
                    "validity_duration": _period(consent.get("provision") or {}),
                    "entity_id": _performer(consent),
                    "event_type": "explicit",
                    "event_state": event,
                }
            )
        ],
    }


def as_kantara(receipt: JsonObject, public_key: str) -> JsonObject:
    """Return a receipt that `receipt_of` made in the form of Kantara 1.1.0."""
    processing = receipt["pii_processing"]
    (event,) = receipt["event"]
    parties = {each["party_id"]: each for each in receipt["party_identification"]}
    controller = parties[_CONTROLLER]
    others = [name["party_name"] for key, name in parties.items() if key != _CONTROLLER]
    disclosure: JsonObject = {"thirdPartyDisclosure": bool(others)}
    if others:
        disclosure["thirdPartyName"] = "; ".join(others)
    purposes = [
        {
            "purpose": each["purpose"],
            "purposeCategory": each["purpose_type"],
            "consentType": "EXPLICIT",
            "piiCategory": [part["pii_type"] for part in each["pii_information"]],
            "primaryPurpose": number == 0,
            "termination": each["withdrawal_method"],
            **disclosure,
        }
        for number, each in enumerate(processing["purposes"])
    ]
    return {
        "version": KANTARA,
        "jurisdiction": _JURISDICTION,
        "consentTimestamp": int(datetime.fromisoformat(event["event_time"]).timestamp()),
        "collectionMethod": processing["purposes"][0]["collection_method"][0],
        "consentReceiptID": receipt["receipt_id"],
        "publicKey": public_key,
        "language": processing["language"],
        "piiPrincipalId": receipt["pii_principal_id"],
        "piiControllers": [
            _without_gaps(
                {
                    "piiController": controller["party_name"],
                    "onBehalf": False,
                    "contact": controller["party_contact"],
                    "address": {"streetAddress": controller["party_address"]},
                    "email": controller.get("party_email"),
                    "phone": controller.get("party_phone"),
                    "piiControllerUrl": controller.get("party_url"),
                }
            )
        ],
        "policyUrl": processing["privacy_notice"],
        "services": [{"service": controller["party_name"], "purposes": purposes}],
        "sensitive": True,
        "spiCat": [_SENSITIVE],
    }


def _purpose(provision: JsonObject, consent: JsonObject, controller: Controller) -> JsonObject:
    purposes = list(_coding_names(provision.get("purpose"))) or list(_concepts(consent.get("scope")))
    kinds = list(_coding_names(provision.get("class"))) or ["Patient compartment"]
    labels = list(_coding_names(provision.get("securityLabel")))
    made = {
        "purpose": "; ".join(purposes) or "patient-privacy",
        "purpose_type": [name for each in consent.get("category", ()) for name in _concepts(each)],
        "lawful_basis": f"consent ({_LEGAL_BASIS})",
        "pii_information": [
            {"pii_type": each, "pii_optional": True, "sensitive_pii_category": _SENSITIVE}
            for each in (*kinds, *labels)
        ],
        "pii_controllers": [_CONTROLLER],
        "collection_method": ["electronic" if not consent.get("sourceAttachment") else "document"],
        "processing_method": [name for each in provision.get("action", ()) for name in _concepts(each)],
        "storage_locations": [_JURISDICTION],
        "retention_period": "医疗机构管理条例实施细则第五十三条",
        "jurisdiction": _JURISDICTION,
        "recipient_third_parties": [each["party_id"] for each in _recipients(consent)],
        "withdrawal_method": f"{controller.url}/my/consents",
        "privacy_rights": [f"{controller.url}/my/rights"],
        "provision_type": str(provision.get("type") or "permit"),
        "validity": _period(provision),
    }
    return _without_gaps(made)


def _provisions(consent: JsonObject) -> Iterator[JsonObject]:
    """Yield the root provision and all below it; an empty one where the Consent has none."""
    waiting = [consent.get("provision") or {}]
    while waiting:
        found = waiting.pop(0)
        yield found
        waiting += [each for each in found.get("provision", ()) if isinstance(each, dict)]


def _controller(controller: Controller) -> JsonObject:
    return _without_gaps(
        {
            "party_id": _CONTROLLER,
            "party_name": controller.name,
            "party_role": "PII controller",
            "party_contact": controller.contact,
            "party_email": controller.email,
            "party_phone": controller.phone,
            "party_url": controller.url,
        }
    ) | {"party_address": controller.address}


def _recipients(consent: JsonObject) -> list[JsonObject]:
    found: dict[str, JsonObject] = {}
    for provision in _provisions(consent):
        for actor in provision.get("actor", ()):
            reference = actor.get("reference") or {}
            name = str(reference.get("reference") or reference.get("display") or "")
            if name:
                shown = str(reference.get("display") or name)
                found[name] = {
                    "party_id": name,
                    "party_name": shown,
                    "party_address": "",
                    "party_role": "third party",
                }
    return list(found.values())


def _performer(consent: JsonObject) -> str:
    """Return who consents: the performer where it is said, else the patient."""
    named = [str(each.get("reference") or "") for each in consent.get("performer", ())]
    return next(filter(None, named), _patient(consent))


def _patient(consent: JsonObject) -> str:
    return str((consent.get("patient") or {}).get("reference", ""))


def _period(provision: JsonObject) -> str:
    """Return start and end as an ISO 8601 interval, an open end as ``..``, "" where none is said."""
    period = provision.get("period") or {}
    return f"{period.get('start') or '..'}/{period.get('end') or '..'}" if period else ""


def _coding_names(codings: Json) -> Iterator[str]:
    for each in codings or ():
        name = each.get("display") or each.get("code")
        if name:
            yield str(name)


def _concepts(concept: Json) -> Iterator[str]:
    if isinstance(concept, dict):
        names = list(_coding_names(concept.get("coding")))
        yield from names or [str(concept["text"])] if names or concept.get("text") else ()


def _codings(concept: Json) -> list[tuple[str, str]]:
    codings = concept.get("coding", ()) if isinstance(concept, dict) else ()
    return [(str(each.get("code", "")), str(each.get("system", ""))) for each in codings]


def _without_gaps(made: JsonObject) -> JsonObject:
    return {name: value for name, value in made.items() if value not in (None, "", [])}
