"""Reading and converting a message of 1.5 KB into a transaction Bundle, on one core.

Every message of a round is of another patient, visit and time: what the engine remembers (codes, doctors,
wards) it may remember, as it would of a hospital's stream; what it must not remember does not come twice.
The first round is not counted.
"""

import gc
import re
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hie.core.fhir.json import dumps
from hl7_gateway.convert.engine import Engine
from hl7_gateway.er7.reader import read
from hl7_gateway.sender import Sender
from terminology.translation import ConceptMaps

MESSAGES = Path(__file__).parent / "messages"
NAMES = ("ADT_A01", "ORU_R01")
ROUNDS = {"small": 10, "full": 60}
PATIENTS = 200
SENDER = Sender("HIS", "ZZ1H", ZoneInfo("Asia/Shanghai"))
RECEIVED = datetime(2026, 3, 5, 1, 0, tzinfo=UTC)


def main(size: str = "small") -> None:
    """Print median, tenth and ninetieth percentile in milliseconds, and how long the engine starts."""
    began = time.perf_counter()
    engine = Engine(ConceptMaps())
    print(f"engine starts in {(time.perf_counter() - began) * 1000:.0f} ms (all maps compiled)")
    for name in NAMES:
        raw = (MESSAGES / f"{name}.hl7").read_bytes()
        stream = [_of_patient(raw, number) for number in range(PATIENTS)]
        bundle = engine.convert(read(raw), SENDER, received=RECEIVED).bundle
        print(
            f"{name}, {len(raw)} bytes -> {len(bundle['entry'])} resources, {len(dumps(bundle))} bytes; "
            "milliseconds a message"
        )
        reading, both = _measured(engine, stream, ROUNDS[size])
        for label, samples in (("read", reading), ("read + convert", both)):
            deciles = statistics.quantiles(samples, n=10)
            print(
                f"  {label:<16} median {statistics.median(samples):.3f}   "
                f"p10 {deciles[0]:.3f}   p90 {deciles[8]:.3f}"
            )


def _measured(engine: Engine, stream: list[bytes], rounds: int) -> tuple[list[float], list[float]]:
    reading: list[float] = []
    both: list[float] = []
    for turn in range(rounds + 1):
        gc.collect()
        for raw in stream:
            began = time.perf_counter_ns()
            message = read(raw)
            cut = time.perf_counter_ns()
            engine.convert(message, SENDER, received=RECEIVED)
            ended = time.perf_counter_ns()
            if turn:
                reading.append((cut - began) / 1e6)
                both.append((ended - began) / 1e6)
    return reading, both


def _of_patient(raw: bytes, number: int) -> bytes:
    """Return the message with the numbers of another patient, another visit and another minute."""
    suffix = f"{number:05d}".encode()
    minute = f"{number % 60:02d}".encode()
    raw = re.sub(rb"(Z00|E88|V2026|I2026|A2026|M2026|L2026|[PF]99?)\d+", lambda m: m[0][:-5] + suffix, raw)
    raw = re.sub(rb"(202603050\d)\d\d", lambda m: m[1] + minute, raw)
    return raw.replace("秀英".encode(), f"秀英{number}".encode())


if __name__ == "__main__":
    main()
