"""Never an invalid resource, whatever a sender writes into a field."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hie.core.errors import MessageError
from hl7_gateway.convert.engine import Engine
from hl7_gateway.er7.reader import read_text
from tests.hl7_gateway.convert.conftest import assert_sound
from tests.hl7_gateway.convert.test_accounting import LINES, put
from tests.hl7_gateway.golden.regenerate import RECEIVED, SENDER

NASTY = st.one_of(
    st.sampled_from(
        ["0", "-1", "1e400", "0.10", "99999999999", "<5", ">=3.50", "Y", "N", "true", " ", '""', "\t"]
    ),
    st.sampled_from(
        ["2026", "20261345", "20260230", "202603050825+0800", "20260305082561", "2026-03-05 08:25"]
    ),
    st.sampled_from(
        ["1^2", "~~", "&&&&", "\\.br\\", "\\X0D\\", "\\Z\\", "a b  c", "urn:oid:1.2", "http://x y"]
    ),
    st.sampled_from(["中文，全角", "😀", "\u200b", "x" * 3000]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=12),
)


@settings(max_examples=300)
@given(data=st.data())
def test_no_value_in_any_field_makes_an_invalid_resource(engine: Engine, data: st.DataObject) -> None:
    lines = list(LINES[data.draw(st.sampled_from(sorted(LINES)))])
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(1, len(lines) - 1))
        place = [data.draw(st.integers(1, highest)) for highest in (45, 2, 14, 3)]
        lines[index] = put(lines[index], place[0], place[1], place[2], place[3], data.draw(NASTY))
    try:
        conversion = engine.convert(read_text("\r".join(lines) + "\r"), SENDER, received=RECEIVED)
    except MessageError as error:
        # Refused as a whole: the answer to the sender says where.
        if error.location is None:
            raise
        return
    assert_sound(conversion.bundle)
