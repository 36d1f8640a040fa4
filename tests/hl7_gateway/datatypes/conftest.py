from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest

from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import Value, find
from hl7_gateway.er7.message import Repetition
from hl7_gateway.sender import Sender
from terminology.translation import ConceptMaps

Convert = Callable[..., Value]
BASE = "http://hie.example/sid/ZZ1H"


@pytest.fixture(scope="session")
def concept_maps() -> ConceptMaps:
    return ConceptMaps()


@pytest.fixture
def ctx(concept_maps: ConceptMaps) -> Context:
    sender = Sender("HIS", "ZZ1H", ZoneInfo("Asia/Shanghai"))
    return Context(sender, "2.5.1", concept_maps)


@pytest.fixture
def convert(ctx: Context) -> Convert:
    """Convert one repetition written in ER7 with the usual delimiters."""

    def call(name: str, text: str, **parameters: str) -> Value:
        return find(name).bind(**parameters)(repetition(text), ctx)

    return call


def repetition(text: str) -> Repetition:
    return tuple(tuple(component.split("&")) for component in text.split("^"))
