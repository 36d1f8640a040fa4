"""Grouping of real and odd messages: every segment in one group, as its meaning wants it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.er7.grouping import Group, group
from hl7_gateway.er7.message import Segment
from hl7_gateway.er7.reader import read_text

TYPES = [
    "ADT^A01",
    "ADT^A08",
    "ADT^A40",
    "ORU^R01",
    "ORM^O01",
    "OML^O21",
    "RDE^O11",
    "SIU^S12",
    "MDM^T02",
    "VXU^V04",
    "ZZZ^Z01",
]
VERSIONS = ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.9"]


def _grouped(message_type: str, segments: str, version: str = "2.5.1") -> Group:
    lines = [f"MSH|^~\\&|A|B|||1||{message_type}|1|P|{version}", *(f"{name}|1" for name in segments.split())]
    return group(read_text("\r".join(lines)))


def _shown(tree: Group) -> str:
    """Return the tree in one line, unexpected segments marked with "?"."""
    parts = [
        _shown(child) if isinstance(child, Group) else child.name + "?" * (child in tree.unexpected)
        for child in tree.children
    ]
    return f"{tree.name}({' '.join(parts)})"


@pytest.mark.parametrize(
    ("message_type", "segments", "expected"),
    [
        (
            "ADT^A01",
            "EVN PID PD1 NK1 NK1 PV1 PV2 OBX AL1 DG1 DG1 PR1 PR1 GT1 IN1 IN2 IN1",
            (
                "ADT_A01(MSH EVN PID PD1 NK1 NK1 PV1 PV2 OBX AL1 DG1 DG1 PROCEDURE(PR1) PROCEDURE(PR1) GT1 "
                "INSURANCE(IN1 IN2) INSURANCE(IN1))"
            ),
        ),
        (
            "ORU^R01",
            "PID PV1 OBR OBX OBX OBR OBX NTE",
            (
                "ORU_R01(MSH PATIENT_RESULT(PATIENT(PID VISIT(PV1)) ORDER_OBSERVATION(OBR OBSERVATION(OBX) "
                "OBSERVATION(OBX)) ORDER_OBSERVATION(OBR OBSERVATION(OBX NTE))))"
            ),
        ),
        (
            "ORU^R01",
            "PID ORC OBR NTE OBX ORC OBR OBX SPM OBX",
            (
                "ORU_R01(MSH PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(ORC OBR NTE OBSERVATION(OBX)) "
                "ORDER_OBSERVATION(ORC OBR OBSERVATION(OBX) SPECIMEN(SPM OBX))))"
            ),
        ),
        (
            "ORU^R01",
            "PID OBR OBX PID OBR OBX",
            (
                "ORU_R01(MSH PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR OBSERVATION(OBX))) "
                "PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR OBSERVATION(OBX))))"
            ),
        ),
        (
            "ORU^R01",
            "ORC OBR OBX",
            "ORU_R01(MSH PATIENT_RESULT(ORDER_OBSERVATION(ORC OBR OBSERVATION(OBX))))",
        ),
        (
            "ORM^O01",
            "PID PV1 ORC OBR DG1 OBX ORC OBR",
            (
                "ORM_O01(MSH PATIENT(PID PATIENT_VISIT(PV1)) ORDER(ORC ORDER_DETAIL(CHOICE(OBR) DG1 "
                "OBSERVATION(OBX))) ORDER(ORC ORDER_DETAIL(CHOICE(OBR))))"
            ),
        ),
        (
            "OML^O21",
            "PID ORC OBR OBX ORC OBR OBX",
            (
                "OML_O21(MSH PATIENT(PID) ORDER(ORC OBSERVATION_REQUEST(OBR OBSERVATION(OBX))) ORDER(ORC "
                "OBSERVATION_REQUEST(OBR OBSERVATION(OBX))))"
            ),
        ),
        (
            "OML^O21",
            "PID ORC OBR OBX PID ORC OBR OBX",
            (
                "OML_O21(MSH PATIENT(PID) ORDER(ORC OBSERVATION_REQUEST(OBR OBSERVATION(OBX) "
                "PRIOR_RESULT(PATIENT_PRIOR(PID) ORDER_PRIOR(ORC OBR OBSERVATION_PRIOR(OBX))))))"
            ),
        ),
        (
            "ADT^A40",
            "EVN PID PD1 MRG PV1 PID MRG",
            "ADT_A39(MSH EVN PATIENT(PID PD1 MRG PV1) PATIENT(PID MRG))",
        ),
        (
            "ZZZ^Z01",
            "PID ZZ1",
            "ZZZ_Z01(MSH PID ZZ1)",
        ),
    ],
)
def test_message_in_order_is_grouped_as_its_structure_says(
    message_type: str, segments: str, expected: str
) -> None:
    assert _shown(_grouped(message_type, segments)) == expected


@pytest.mark.parametrize(
    ("message_type", "segments", "expected"),
    [
        (
            "ORU^R01",
            "PID ZPI OBR ZBR OBX ZBX NTE OBX",
            (
                "ORU_R01(MSH PATIENT_RESULT(PATIENT(PID ZPI?) ORDER_OBSERVATION(OBR ZBR? OBSERVATION(OBX "
                "ZBX? NTE) OBSERVATION(OBX))))"
            ),
        ),
        (
            "ORU^R01",
            "PV1 PID OBR OBX",
            "ORU_R01(MSH PATIENT_RESULT(PATIENT(VISIT(PV1) PID) ORDER_OBSERVATION(OBR OBSERVATION(OBX))))",
        ),
        (
            "ORU^R01",
            "PID OBR OBX PV1 OBX",
            (
                "ORU_R01(MSH PATIENT_RESULT(PATIENT(PID VISIT(PV1)) ORDER_OBSERVATION(OBR OBSERVATION(OBX) "
                "OBSERVATION(OBX))))"
            ),
        ),
        (
            "ORU^R01",
            "PID OBR ORC OBX",
            (
                "ORU_R01(MSH PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR) ORDER_OBSERVATION(ORC "
                "OBSERVATION(OBX))))"
            ),
        ),
        (
            "ORU^R01",
            "PID ORC OBR OBX OBR OBX",
            (
                "ORU_R01(MSH PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(ORC OBR OBSERVATION(OBX)) "
                "ORDER_OBSERVATION(OBR OBSERVATION(OBX))))"
            ),
        ),
        (
            "ORU^R01",
            "OBX PID",
            "ORU_R01(MSH PATIENT_RESULT(ORDER_OBSERVATION(OBSERVATION(OBX))) PATIENT_RESULT(PATIENT(PID)))",
        ),
        (
            "ORU^R01",
            "PID OBR OBX SPM NTE",
            (
                "ORU_R01(MSH PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR OBSERVATION(OBX) "
                "SPECIMEN(SPM NTE?))))"
            ),
        ),
        (
            "ADT^A01",
            "EVN PV1 PID DG1 OBX NTE DG1",
            "ADT_A01(MSH EVN PV1 PID DG1 OBX NTE? DG1)",
        ),
        (
            "ADT^A01",
            "EVN PID PID PV1",
            "ADT_A01(MSH EVN PID PID? PV1)",
        ),
        (
            "ORM^O01",
            "PID ORC OBR OBR OBX",
            (
                "ORM_O01(MSH PATIENT(PID) ORDER(ORC ORDER_DETAIL(CHOICE(OBR))) "
                "ORDER(ORDER_DETAIL(CHOICE(OBR) OBSERVATION(OBX))))"
            ),
        ),
        (
            "ORM^O01",
            "PID ORC OBX",
            "ORM_O01(MSH PATIENT(PID) ORDER(ORC ORDER_DETAIL(OBSERVATION(OBX))))",
        ),
        (
            "OML^O21",
            "PID ORC OBR OBX PV1 AL1",
            (
                "OML_O21(MSH PATIENT(PID PATIENT_VISIT(PV1) AL1) ORDER(ORC OBSERVATION_REQUEST(OBR "
                "OBSERVATION(OBX))))"
            ),
        ),
        (
            "OML^O21",
            "PID ORC OBR OBX OBR OBX",
            (
                "OML_O21(MSH PATIENT(PID) ORDER(ORC OBSERVATION_REQUEST(OBR OBSERVATION(OBX))) "
                "ORDER(OBSERVATION_REQUEST(OBR OBSERVATION(OBX))))"
            ),
        ),
    ],
)
def test_message_out_of_order_keeps_what_belongs_together(
    message_type: str, segments: str, expected: str
) -> None:
    assert _shown(_grouped(message_type, segments)) == expected


def test_what_follows_a_segment_out_of_order_stays_with_it() -> None:
    assert _shown(_grouped("SIU^S12", "SCH PV1 TQ1 PID NTE OBX")) == (
        "SIU_S12(MSH SCH PATIENT(PV1 PID NTE? OBX) TQ1)"
    )
    assert _shown(_grouped("VXU^V04", "IN1 OBX IN2 IN2")) == (
        "VXU_V04(MSH INSURANCE(IN1 IN2) ORDER(OBSERVATION(OBX)) INSURANCE(IN2))"
    )


def test_groups_of_early_versions_carry_the_later_names() -> None:
    assert _shown(_grouped("ORU^R01", "PID OBR OBX", "2.3")) == (
        "ORU_R01(MSH PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR OBSERVATION(OBX))))"
    )
    assert "TIMING(TQ1)" in _shown(_grouped("OML^O21", "PID ORC TQ1 OBR", "2.6"))


def test_access_to_segments_and_groups() -> None:
    tree = _grouped("ORU^R01", "PID OBR OBX OBX ZBX")
    result = tree.groups("PATIENT_RESULT")[0]
    observations = result.groups("ORDER_OBSERVATION")[0].groups("OBSERVATION")
    patient = result.groups("PATIENT")[0]
    assert len(observations) == 2
    assert [segment.name for segment in observations[1].segments("OBX")] == ["OBX"]
    assert patient.first("PID") is patient.children[0]
    assert patient.first("PV1") is None
    assert tree.first("PID") is None
    assert [segment.name for segment in observations[1].unexpected] == ["ZBX"]
    assert [segment.index for segment in tree.leaves()] == [0, 1, 2, 3, 4, 5]


SEGMENTS = [
    "EVN",
    "PID",
    "PD1",
    "PV1",
    "PV2",
    "NK1",
    "NTE",
    "OBX",
    "OBR",
    "ORC",
    "SPM",
    "SAC",
    "TQ1",
    "AL1",
    "DG1",
    "PR1",
    "IN1",
    "IN2",
    "GT1",
    "MRG",
    "RXE",
    "RXR",
    "SCH",
    "AIS",
    "TXA",
    "PRT",
    "ROL",
    "ZZ1",
    "ZPI",
]


@given(st.sampled_from(TYPES), st.lists(st.sampled_from(SEGMENTS), max_size=30), st.sampled_from(VERSIONS))
def test_no_segment_is_lost_whatever_the_order(message_type: str, segments: list[str], version: str) -> None:
    tree = _grouped(message_type, " ".join(segments), version)
    leaves = list(tree.leaves())
    assert sorted(leaf.index for leaf in leaves) == list(range(len(segments) + 1))
    assert all(_is_in_message_order(inner) for inner in _all(tree))
    assert all(child in inner.children for inner in _all(tree) for child in inner.unexpected)


def _all(tree: Group) -> list[Group]:
    return [tree] + [inner for child in tree.children if isinstance(child, Group) for inner in _all(child)]


def _is_in_message_order(tree: Group) -> bool:
    indexes = [child.index for child in tree.children if isinstance(child, Segment)]
    return indexes == sorted(indexes)
