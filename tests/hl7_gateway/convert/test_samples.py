"""Every message of other people's test data: converted soundly, or refused by name."""

import re
from pathlib import Path

import pytest

from hie.core.errors import NoMapError
from hl7_gateway.convert.engine import Engine
from hl7_gateway.er7.reader import read
from tests.hl7_gateway.convert.conftest import RECEIVED, SENDER, assert_sound


def test_every_sample_of_a_mapped_type_converts_and_every_other_is_refused_by_name(
    engine: Engine, conformance_data: Path
) -> None:
    converted = 0
    for path in sorted((conformance_data / "hl7v2").rglob("*.hl7")):
        message = read(path.read_bytes())
        event = f"{message.code}^{message.event}"
        if event in engine.triggers:
            conversion = engine.convert(message, SENDER, received=RECEIVED)
            assert_sound(conversion.bundle)
            converted += 1
            continue
        with pytest.raises(NoMapError, match=re.escape(event)) as caught:
            engine.convert(message, SENDER, received=RECEIVED)
        assert "ADT^A01" in caught.value.message
    assert converted >= 170
