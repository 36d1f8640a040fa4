"""XML to JSON and back, and content codings, on one core: resources that the gateway makes of two messages.

Milliseconds a resource for XML, and a body for gzip and zstd; medians of rounds, with the tenth and ninetieth
percentile.
"""

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from hie.core.fhir.json import JsonObject, dumps, loads
from hie.core.fhir.xml_read import from_xml
from hie.core.fhir.xml_write import to_xml
from hie.core.web.content_coding import Coding, decoded, encoded
from hl7_gateway.convert.engine import Engine
from hl7_gateway.er7.reader import read
from hl7_gateway.sender import Sender
from terminology.translation import ConceptMaps

MESSAGES = Path(__file__).parent / "messages"
ROUNDS = {"small": 50, "full": 500}
RECEIVED = datetime(2026, 3, 5, 1, 0, tzinfo=UTC)
LIMIT = 64 * 1024 * 1024


def main(size: str = "small") -> None:
    """Print what each step costs."""
    resources = _resources()
    texts = [dumps(resource) for resource in resources]
    documents = [to_xml(resource) for resource in resources]
    bundle = dumps({"resourceType": "Bundle", "entry": [{"resource": each} for each in resources]})
    count = len(resources)
    print(
        f"{count} resources, {sum(map(len, texts)) // count} bytes of JSON, "
        f"{sum(map(len, documents)) // count} of XML on average; Bundle of all: {len(bundle)} bytes"
    )
    rounds = ROUNDS[size]
    _print("JSON to XML", rounds, lambda: [to_xml(each) for each in resources], count)
    _print("XML to JSON", rounds, lambda: [from_xml(each) for each in documents], count)
    _print("JSON text to XML text", rounds, lambda: [to_xml(loads(each)) for each in texts], count)
    _print("XML text to JSON text", rounds, lambda: [dumps(from_xml(each)) for each in documents], count)
    codings: tuple[Coding, ...] = ("gzip", "zstd")
    for coding in codings:
        body = encoded(bundle, coding)
        _print(f"{coding}, {len(body)} bytes", rounds, partial(encoded, bundle, coding), 1)
        _print(f"{coding} back", rounds, partial(decoded, body, coding, LIMIT), 1)


def _resources() -> list[JsonObject]:
    engine = Engine(ConceptMaps())
    sender = Sender("HIS", "ZZ1H", ZoneInfo("Asia/Shanghai"))
    found = []
    for name in ("ADT_A01", "ORU_R01"):
        message = read((MESSAGES / f"{name}.hl7").read_bytes())
        bundle = engine.convert(message, sender, received=RECEIVED).bundle
        found += [entry["resource"] for entry in loads(dumps(bundle))["entry"] if "resource" in entry]
    return found


def _print(label: str, rounds: int, work: Callable[[], object], count: int) -> None:
    samples = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        samples.append((time.perf_counter() - began) * 1000 / count)
    deciles = statistics.quantiles(samples, n=10)
    print(
        f"  {label:<24} median {statistics.median(samples):.3f}   p10 {deciles[0]:.3f}   p90 {deciles[8]:.3f}"
    )


if __name__ == "__main__":
    main()
