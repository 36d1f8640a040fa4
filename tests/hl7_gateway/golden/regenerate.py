"""Writes the expectations anew: ``python -m tests.hl7_gateway.golden.regenerate [NAME...]``.

Run it only after a wanted change of a map, and read the difference before keeping it: the JSON files are
reviewed expectations, not a record of whatever the code does.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hie.core.fhir.json import JsonObject, dumps_pretty
from hl7_gateway.convert.engine import Engine
from hl7_gateway.er7.reader import read
from hl7_gateway.sender import Sender
from terminology.translation import ConceptMaps

FOLDER = Path(__file__).parent
SENDER = Sender("HIS", "ZZ1H", ZoneInfo("Asia/Shanghai"))
RECEIVED = datetime(2026, 3, 5, 1, 0, tzinfo=UTC)


def expected(engine: Engine, raw: bytes) -> JsonObject:
    """Return what a golden file holds: the Bundle, and the account of what is not in it."""
    conversion = engine.convert(read(raw), SENDER, received=RECEIVED)
    return {
        "bundle": conversion.bundle,
        "unmapped": [f"{part.location}: {part.reason}" for part in conversion.report.unmapped],
        "kept": [f"{part.location}: {part.where}" for part in conversion.report.kept],
    }


def main(names: list[str]) -> None:
    """Write the expectation of each message, or of those named."""
    engine = Engine(ConceptMaps())
    for path in sorted(FOLDER.glob("*.hl7")):
        if not names or path.stem in names:
            path.with_suffix(".json").write_bytes(dumps_pretty(expected(engine, path.read_bytes())) + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
