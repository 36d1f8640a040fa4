"""The golden pairs under `tests/hl7_gateway/golden`: message, expected Bundle, expected account."""

from pathlib import Path

import pytest

from hie.core.fhir.json import dumps, loads
from hl7_gateway.convert.engine import Engine
from hl7_gateway.er7.reader import read
from terminology.translation import ConceptMaps
from tests.hl7_gateway.convert.conftest import assert_sound
from tests.hl7_gateway.golden.regenerate import FOLDER, RECEIVED, SENDER, expected

MESSAGES = sorted(FOLDER.glob("*.hl7"))


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_a_golden_message_becomes_its_golden_bundle(engine: Engine, path: Path) -> None:
    golden = loads(path.with_suffix(".json").read_bytes())
    assert loads(dumps(expected(engine, path.read_bytes()))) == golden
    assert_sound(golden["bundle"])


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_the_same_message_gives_the_same_bytes_in_another_engine(engine: Engine, path: Path) -> None:
    message = read(path.read_bytes())
    other = Engine(ConceptMaps())
    first = dumps(engine.convert(message, SENDER, received=RECEIVED).bundle)
    assert dumps(engine.convert(message, SENDER, received=RECEIVED).bundle) == first
    assert dumps(other.convert(read(path.read_bytes()), SENDER, received=RECEIVED).bundle) == first


def test_every_trigger_has_a_golden_pair(engine: Engine) -> None:
    messages = (read(path.read_bytes()) for path in MESSAGES)
    assert {f"{message.code}^{message.event}" for message in messages} == set(engine.triggers)


def test_a_golden_message_is_in_gb18030() -> None:
    raw = (FOLDER / "ADT_A01-gb18030-v23.hl7").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        raw.decode("utf-8")
    assert "靖䶮" in raw.decode("gb18030")
