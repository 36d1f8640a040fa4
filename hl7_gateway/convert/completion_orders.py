"""The completions of orders, reports and observations: what a resource needs that its segments left open.

https://build.fhir.org/ig/HL7/v2-to-fhir/message_maps.html (ORU_R01, ORM_O01, OML_O21)
"""

from hl7_gateway.convert.completion import named_completion
from hl7_gateway.convert.completion_adt import ABSENT
from hl7_gateway.convert.report import Unmapped
from hl7_gateway.convert.run import Instance, Run

# Reports whose results are all there: the order behind them is done.
_DONE = frozenset({"final", "amended", "corrected", "appended"})
_TAKEN_BACK = frozenset({"revoked", "entered-in-error"})
_EFFECTIVE = ("effectiveDateTime", "effectivePeriod")
_VALUES = frozenset(
    f"value{kind}"
    for kind in ("CodeableConcept", "DateTime", "Period", "Quantity", "Range", "Ratio", "String", "Time")
)


@named_completion
def order(instance: Instance, run: Run) -> None:
    """An order is an order; its status follows its report where ORC says none; it has one time.

    A final report completes the order that it tells of, unless that was taken back; a result that is not
    final asserts no status, so that the one that is stored outlives it.
    """
    resource = instance.resource
    resource.setdefault("intent", "order")
    is_reported = _is_reported(instance, run)
    if is_reported and resource.get("status") not in _TAKEN_BACK:
        resource["status"] = "completed"
    elif not is_reported:
        resource.setdefault("status", "unknown")
        if instance.use.write == "merge":
            instance.weak = (*instance.weak, "status", "intent")
    if "occurrenceTiming" in resource and "occurrenceDateTime" in resource:
        # Two forms of one element: the pattern of TQ1 (ORC-7, OBR-27) says more than the requested time.
        moment = resource.pop("occurrenceDateTime")
        reason = "the element holds the timing pattern"
        run.report.unmapped.append(Unmapped("OBR-6", len(moment), reason, _detail_index(instance, run)))


@named_completion
def order_provenance(instance: Instance, run: Run) -> None:
    """What ORC-9 does not say to the second was recorded when the message came."""
    instance.resource.setdefault("recorded", run.received.isoformat())


@named_completion
def report(instance: Instance, _run: Run) -> None:
    """A report without a status of FHIR is of status unknown; one without OBR-4 is kept for its results."""
    instance.resource.setdefault("status", "unknown")
    instance.resource.setdefault("code", ABSENT)


@named_completion
def observation(instance: Instance, run: Run) -> None:
    """What the OBR says holds for its OBX: time (unless OBX-14), specimen (if one), parent result."""
    resource = instance.resource
    if "status" not in resource:
        resource["status"] = "unknown"
    if "code" not in resource and (resource.keys() & _VALUES or "component" in resource):
        resource["code"] = ABSENT
    parent = instance.links.get("report")
    if parent is not None:
        if "effectiveDateTime" not in resource and "effectivePeriod" not in resource:
            for name in _EFFECTIVE:
                if name in parent.resource:
                    resource[name] = parent.resource[name]
        specimens = parent.resource.get("specimen")
        if specimens is not None and len(specimens) == 1 and "specimen" not in resource:
            resource["specimen"] = specimens[0]
        organism = parent.links.get("parent_result")
        if organism is not None:
            organism.resource.setdefault("hasMember", []).append(instance.reference)
    if "dataAbsentReason" in resource and resource.keys() & _VALUES:
        # obs-6: a value and the reason for its absence exclude each other.
        del resource["dataAbsentReason"]
        reason = "there is a value"
        run.report.unmapped.append(Unmapped("OBX-32", 0, reason, instance.segment.index))


@named_completion
def medication_request(instance: Instance, _run: Run) -> None:
    """A medication request has the status of its order, in its own code system."""
    parent = instance.links.get("order")
    status = parent.resource.get("status", "unknown") if parent is not None else "unknown"
    instance.resource["status"] = "cancelled" if status == "revoked" else status


def _detail_index(instance: Instance, run: Run) -> int:
    """Return the position of the OBR of an order."""
    start = instance.segment.index
    return next((s.index for s in run.message.segments[start:] if s.name == "OBR"), start)


def _is_reported(instance: Instance, run: Run) -> bool:
    return any(
        each.resource.get("status") in _DONE
        for each in run.named("report")
        if each.links.get("order") is instance
    )
