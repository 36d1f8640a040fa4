"""The conditions of orders, reports, observations and specimens.

https://build.fhir.org/ig/HL7/v2-to-fhir/message_maps.html (ORU_R01, ORM_O01, OML_O21)
"""

from hl7_gateway.convert.conditions import condition_on, named_condition, named_where
from hl7_gateway.convert.run import Run
from hl7_gateway.er7.message import Repetition, Segment
from hl7_gateway.er7.text import part

_TEXTS = frozenset({"TX", "FT"})
# IG, OBX-29 NOT IN ("QST", "SCI"): what was asked or told with the order is no result.
_ASKED = frozenset({"QST", "SCI"})
_VALUE_TYPE, _OBSERVATION_TYPE = 2, 29
_SPECIMEN_FIELDS = (9, 10, 14, 15, 39)


@named_condition
def is_result(segment: Segment, run: Run) -> bool:
    """OBX-29 NOT IN ("QST", "SCI"), and not a further line of a text."""
    fields = segment.fields
    if len(fields) > _OBSERVATION_TYPE and fields[_OBSERVATION_TYPE][:3] in _ASKED:
        return False
    if len(fields) <= _VALUE_TYPE or fields[_VALUE_TYPE] not in _TEXTS:
        return True
    return not is_text_continued(segment, run)


@condition_on(29)
def is_supporting_information(segment: Segment, run: Run) -> bool:
    """OBX-29 IN ("QST", "SCI")."""
    return segment.raw(29)[:3] in _ASKED and not is_text_continued(segment, run)


@named_condition
def begins_observation(segment: Segment, run: Run) -> bool:
    """The OBX is not a further line of the text before it."""
    return not is_text_continued(segment, run)


@condition_on(_VALUE_TYPE, among=_TEXTS)
def is_text_continued(segment: Segment, run: Run) -> bool:
    """The OBX directly before is a TX or FT of the same code: senders cut long texts into one OBX a line."""
    fields = segment.fields
    if len(fields) <= _VALUE_TYPE or fields[_VALUE_TYPE] not in _TEXTS or segment.index == 0:
        return False
    before = run.message.segments[segment.index - 1]
    return (
        before.name == "OBX"
        and before.raw(2) in _TEXTS
        and before.raw(3) == segment.raw(3)
        and before.raw(11) == segment.raw(11)
        and before.raw(14) == segment.raw(14)
        and not segment.raw(21)
    )


@named_condition
def describes_specimen(segment: Segment, _run: Run) -> bool:
    """OBR-9, OBR-10, OBR-14, OBR-15 or OBR-39 VALUED."""
    fields = segment.fields
    size = len(fields)
    for field in _SPECIMEN_FIELDS:
        if field >= size:
            return False
        if fields[field]:
            return True
    return False


@named_condition
def tells_who_handled_order(segment: Segment, _run: Run) -> bool:
    """ORC-10, ORC-11, ORC-12 or ORC-19 VALUED: a Provenance needs an agent."""
    return bool(segment.raw(12) or segment.raw(10) or segment.raw(11) or segment.raw(19))


@named_condition
def is_new_order(segment: Segment, _run: Run) -> bool:
    """ORC-1 IS "NW"."""
    return segment.first(1) == "NW"


@named_condition
def is_order_status_changed(segment: Segment, _run: Run) -> bool:
    """ORC-1 EQUALS "SC"."""
    return segment.first(1) == "SC"


@named_condition
def is_order_cancelled(segment: Segment, _run: Run) -> bool:
    """ORC-1 IN ("OC", "CA")."""
    return segment.first(1) in ("OC", "CA")


@named_condition
def is_reflex(segment: Segment, _run: Run) -> bool:
    """OBR-11 EQUALS "G"."""
    return segment.first(11) == "G"


@named_condition
def has_no_tq1(segment: Segment, run: Run) -> bool:
    """No TQ1 of the same order says when: it stands in the place of ORC-7."""
    for following in run.message.segments[segment.index + 1 :]:
        if following.name == "ORC":
            return True
        if following.name == "TQ1":
            return False
    return True


@named_condition
def has_no_timing_of_order(segment: Segment, run: Run) -> bool:
    """ORC-7 NOT VALUED, and no TQ1."""
    order = run.frame.segment
    if order is None or order.name != "ORC":
        return has_no_tq1(segment, run)
    return not order.raw(7) and has_no_tq1(order, run)


@named_condition
def is_first_timing(segment: Segment, run: Run) -> bool:
    """The first TQ1 of its order; FHIR has one occurrence for a request."""
    for before in reversed(run.message.segments[: segment.index]):
        if before.name in ("ORC", "OBR"):
            return True
        if before.name == "TQ1":
            return False
    return True


@named_condition
def is_not_deleted(segment: Segment, _run: Run) -> bool:
    """PRT-2 IS NOT "D"."""
    return segment.first(2) != "D"


@named_condition
def is_specimen_collector(segment: Segment, _run: Run) -> bool:
    """PRT-4.1 EQUALS "SC"."""
    return segment.first(4) == "SC" and segment.first(2) != "D"


@named_condition
def is_ordering_provider(segment: Segment, _run: Run) -> bool:
    """PRT-4.1 EQUALS "OP"."""
    return segment.first(4) == "OP" and segment.first(2) != "D"


@named_condition
def is_results_interpreter(segment: Segment, _run: Run) -> bool:
    """PRT-4.1 EQUALS "PRI"."""
    return segment.first(4) == "PRI" and segment.first(2) != "D"


@named_condition
def is_report_performer(segment: Segment, _run: Run) -> bool:
    """PRT-4.1 IN ("ARI", "TN", "TR")."""
    return segment.first(4) in ("ARI", "TN", "TR") and segment.first(2) != "D"


@named_condition
def names_participant(segment: Segment, _run: Run) -> bool:
    """PRT-5 or PRT-8 VALUED and PRT-2 IS NOT "D"."""
    return bool(segment.raw(5) or segment.raw(8)) and segment.first(2) != "D"


@named_condition
def names_device(segment: Segment, run: Run) -> bool:
    """PRT-10 VALUED, PRT-2 IS NOT "D", and no other device is named (OBX-18)."""
    if not segment.raw(10) or segment.first(2) == "D":
        return False
    observation = run.frame.find("observation")
    return observation is None or "device" not in observation.resource


@named_condition
def names_place(segment: Segment, _run: Run) -> bool:
    """PRT-9 VALUED OR PRT-14 VALUED, and PRT-2 IS NOT "D"."""
    return bool(segment.raw(9) or segment.raw(14)) and segment.first(2) != "D"


@named_where
def is_time_range(repetition: Repetition) -> bool:
    """SPM-17.2 VALUED."""
    return bool(part(repetition, 2))


@named_where
def is_point_in_time(repetition: Repetition) -> bool:
    """SPM-17.2 NOT VALUED."""
    return not part(repetition, 2)
