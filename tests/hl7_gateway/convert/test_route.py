from hl7_gateway.convert.maps import Node
from hl7_gateway.convert.route import route

_NOTE = Node("NTE")
_DETAIL = Node("OBR", children={"NTE": _NOTE, "OBX": Node("OBX")}, limit=1)
_ORDER = Node("ORC", children={"NTE": _NOTE, "OBR": _DETAIL})
_MAP = {
    "MSH": Node("MSH"),
    "PID": Node("PID", children={"ORC": _ORDER}),
    "ORC": _ORDER,
}


def _frames(*names: str) -> list[tuple[str, int | None]]:
    """Return the segments in the order of reading, each with the number of its frame, None for no place."""
    return [
        (names[position], None if node is None else frame) for position, node, frame, _ in route(names, _MAP)
    ]


def test_a_segment_belongs_to_the_nearest_open_place_that_takes_it() -> None:
    taken = _frames("MSH", "PID", "ORC", "NTE", "OBR", "NTE", "OBX", "ORC")
    assert taken == [
        ("MSH", 0),
        ("PID", 0),
        ("ORC", 1),
        ("NTE", 2),
        ("OBR", 2),
        ("NTE", 3),
        ("OBX", 3),
        ("ORC", 1),
    ]


def test_a_segment_beyond_the_limit_of_its_place_has_no_place() -> None:
    assert _frames("MSH", "PID", "ORC", "OBR", "OBR")[-1] == ("OBR", None)


def test_a_segment_behind_its_group_belongs_to_the_latest_place_that_takes_it() -> None:
    taken = _frames("MSH", "PID", "ORC", "OBR", "PID", "OBX")
    assert taken[-1] == ("OBX", 3)


def test_the_patient_is_read_before_what_is_the_patients() -> None:
    assert _frames("MSH", "ORC", "OBR", "PID") == [("MSH", 0), ("PID", 0), ("ORC", 1), ("OBR", 2)]


def test_only_a_place_with_children_opens_a_frame() -> None:
    assert [stop.opens for stop in route(("MSH", "PID", "ORC", "NTE"), _MAP)] == [False, True, True, False]
