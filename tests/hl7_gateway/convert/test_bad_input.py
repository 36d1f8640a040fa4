"""Messages that cannot become a Bundle, and values that cannot become an element."""

from zoneinfo import ZoneInfo

import pytest

from hie.core.errors import MessageError, NoMapError, RequiredFieldError, SegmentSequenceError
from hl7_gateway.convert.engine import Engine
from hl7_gateway.sender import Sender
from tests.hl7_gateway.convert.conftest import Convert, assert_sound, entry, header, only, resources, segment

PID = segment("PID", f3="1^^^H^MR")


def test_a_message_type_without_map_is_refused_naming_it_and_what_is_supported(
    convert: Convert, engine: Engine
) -> None:
    with pytest.raises(NoMapError) as caught:
        convert(header("ADT^A99"), PID)
    assert caught.value.location == "MSH-9"
    assert caught.value.acknowledgment == "AR"
    assert caught.value.message == (
        f"No map for message type ADT^A99; supported are {', '.join(engine.triggers)}"
    )


@pytest.mark.parametrize(
    ("error", "location", "segments"),
    [
        (RequiredFieldError, "MSH-9", (header(""), PID)),
        (RequiredFieldError, "MSH-10", (header(control_id=""), PID)),
        (RequiredFieldError, "PID-3", (header(), segment("PID", f5="张^三"))),
        (RequiredFieldError, "PID-3", (header(), segment("PID", f3="^^^H^MR", f5="张^三"))),
        (RequiredFieldError, "PID-3", (header(), segment("PID", f3='""'))),
        (SegmentSequenceError, "PID", (header(), "PV1|1|I")),
        (SegmentSequenceError, "PID", (header("OML^O21"), "ORC|NW|P1", "OBR|1|P1||GLU")),
        (SegmentSequenceError, "PID", (header("ORM^O01"), "ORC|NW|P1", "OBR|1|P1||GLU")),
    ],
)
def test_what_a_resource_cannot_be_built_without_is_named(
    convert: Convert, error: type[MessageError], location: str, segments: tuple[str, ...]
) -> None:
    with pytest.raises(error) as caught:
        convert(*segments)
    assert caught.value.location == location
    assert location.split("-", maxsplit=1)[0] in caught.value.message


@pytest.mark.parametrize(
    ("field", "value", "element"),
    [
        (7, "19901345", "birthDate"),
        (8, "Q", "gender"),
        (25, "second", "multipleBirthInteger"),
        (29, "tomorrow", "deceasedDateTime"),
        (30, "maybe", "deceasedBoolean"),
    ],
)
def test_a_bad_value_is_left_out_and_reported_and_the_rest_stays(
    convert: Convert, field: int, value: str, element: str
) -> None:
    conversion = convert(header(), segment("PID", f3="1^^^H^MR", f5="张^三", **{f"f{field}": value}))
    patient = only(conversion, "Patient")
    assert element not in patient
    assert patient["name"][0]["family"] == "张"
    assert [line.location for line in conversion.report.unmapped] == [f"PID-{field}"]
    assert value not in conversion.report.unmapped[0].reason
    assert_sound(conversion.bundle)


def test_a_repetition_that_cannot_be_used_does_not_take_the_others_with_it(convert: Convert) -> None:
    conversion = convert(header(), segment("PID", f3="1^^^H^MR~^^^H^PT~2^^^H^PI"))
    assert [i["value"] for i in only(conversion, "Patient")["identifier"]] == ["1", "2"]
    assert [line.location for line in conversion.report.unmapped] == ["PID-3[2]"]


def test_a_field_that_repeats_into_an_element_that_does_not_is_reported(convert: Convert) -> None:
    conversion = convert(header(), segment("PID", f3="1^^^H^MR", f8="M~F"))
    assert only(conversion, "Patient")["gender"] == "male"
    assert [(line.location, line.reason) for line in conversion.report.unmapped] == [
        ("PID-8[2]", "the element does not repeat")
    ]


def test_a_resource_without_its_required_element_is_left_out_with_every_reference_to_it(
    convert: Convert,
) -> None:
    # GT1 without an Account (PID-18) has nothing to guarantee; the person stays, the segment's rest is
    # reported.
    conversion = convert(header(), PID, segment("GT1", f1="1", f3="李^四", f13="20260101"))
    assert resources(conversion, "Account") == []
    assert_sound(conversion.bundle)


@pytest.mark.parametrize(
    ("message_type", "kind"),
    [("OML^O21", "ServiceRequest"), ("ORM^O01", "ServiceRequest"), ("ORU^R01", "DiagnosticReport")],
)
def test_a_patient_behind_an_order_is_the_patient_of_the_order(
    convert: Convert, message_type: str, kind: str
) -> None:
    orc = "ORC|NW|P1|||||||20250101|E1^ENTERER"
    conversion = convert(header(message_type), orc, "OBR|1|P1|F1|GLU^Glucose^L", PID)
    assert only(conversion, kind)["subject"]["reference"] == entry(conversion, "Patient")["fullUrl"]
    assert_sound(conversion.bundle)


def test_what_cannot_be_without_a_dropped_resource_is_dropped_with_it(convert: Convert) -> None:
    # Without a patient there is no order, and without the order no Provenance of who entered it.
    conversion = convert(
        header("ORU^R01"), "ORC|RE|P1|||||||20250101|E1^ENTERER", "OBR|1|P1|F1|GLU|||||||||||||||||||||F"
    )
    assert resources(conversion, "ServiceRequest") == []
    assert len(resources(conversion, "Provenance")) == 1
    assert_sound(conversion.bundle)


def test_a_segment_before_the_one_it_belongs_to_is_reported(convert: Convert) -> None:
    conversion = convert(header(), segment("PV2", f3="^胸痛"), PID)
    assert [(line.location, line.reason) for line in conversion.report.unmapped] == [
        ("PV2", "the segment has no place in the map of this message")
    ]


def test_a_message_without_a_named_sender_has_no_organization_and_is_sound(convert: Convert) -> None:
    nameless = Sender("", "", ZoneInfo("Asia/Shanghai"))
    message = "MSH|^~\\&|||||20260305083015||ADT^A01|1|P|2.5.1"
    conversion = convert(message, PID, segment("PV1", f2="I", f19="V1"), sender=nameless)
    assert resources(conversion, "Organization") == []
    assert "serviceProvider" not in only(conversion, "Encounter")
    assert_sound(conversion.bundle)


def test_segments_out_of_order_still_say_what_they_say(convert: Convert) -> None:
    visit = segment("PV1", f2="I", f19="V1^^^H^VN")
    conversion = convert(
        header(), "EVN|A01|20260305", PID, visit, "EVN|A01|20260305", segment("PV2", f3="^胸痛")
    )
    assert [reason["text"] for reason in only(conversion, "Encounter")["reasonCode"]] == ["胸痛"]
