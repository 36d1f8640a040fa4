"""Reading and converting a message of 1.5 KB into a transaction Bundle, on one core.

No two messages of a run are alike: each is of another patient (numbers, name, birth date, address,
telephones), visit, order and time, and the measured values vary. What the engine remembers (codes, doctors,
wards, the insurer) it may remember, as it would of a hospital's stream; what it must not remember does not
come twice. The first round is not counted; the garbage collector is set as in the gateway's processes.
"""

import gc
import re
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from hie.core import garbage
from hie.core.fhir.json import dumps
from hie.simulator.identity_numbers import Numbering
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
_NUMBERING = Numbering(seed=20260305)
_NUMBERS = re.compile(r"(Z00|E88|V2026|I2026|A2026|M2026|L2026|03710|(?<=\|)[PF](?=\d{5}\^))\d+")
_TIMES = re.compile(r"(?<=[|^])2026\d{10}(?=[|+\r])")
_DATES = re.compile(r"(?<=[|^])20\d{6}(?=[|\r])")
_RESULTS = re.compile(r"(?<=\|NM\|)([^|]*\|\|)(\d+)(?:\.(\d+))?")


def main(size: str = "small") -> None:
    """Print median, tenth and ninetieth percentile in milliseconds, and how long the engine starts."""
    began = time.perf_counter()
    engine = Engine(ConceptMaps())
    print(f"engine starts in {(time.perf_counter() - began) * 1000:.0f} ms (all maps checked)")
    garbage.settle()
    for name in NAMES:
        raw = (MESSAGES / f"{name}.hl7").read_bytes()
        bundle = engine.convert(read(raw), SENDER, received=RECEIVED).bundle
        print(
            f"{name}, {len(raw)} bytes -> {len(bundle['entry'])} resources, {len(dumps(bundle))} bytes; "
            "milliseconds a message"
        )
        numbers = range(PATIENTS * (ROUNDS[size] + 1))
        for note, stream in (
            ("", (of_patient(raw, number) for number in numbers)),
            (", GB18030", (_in_gb18030(of_patient(raw, number)) for number in numbers)),
        ):
            reading, both = _measured(engine, stream, ROUNDS[size])
            for label, samples in (("read", reading), ("read + convert", both)):
                deciles = statistics.quantiles(samples, n=10)
                print(
                    f"  {label + note:<24} median {statistics.median(samples):.3f}   "
                    f"p10 {deciles[0]:.3f}   p90 {deciles[8]:.3f}"
                )


def _in_gb18030(raw: bytes) -> bytes:
    return raw.decode().replace("UNICODE UTF-8", "GB 18030-2000").encode("gb18030")


def _measured(engine: Engine, stream: Iterator[bytes], rounds: int) -> tuple[list[float], list[float]]:
    reading: list[float] = []
    both: list[float] = []
    for turn in range(rounds + 1):
        messages = list(islice(stream, PATIENTS))
        gc.collect()
        for raw in messages:
            began = time.perf_counter_ns()
            message = read(raw)
            cut = time.perf_counter_ns()
            engine.convert(message, SENDER, received=RECEIVED)
            ended = time.perf_counter_ns()
            if turn:
                reading.append((cut - began) / 1e6)
                both.append((ended - began) / 1e6)
    return reading, both


def of_patient(raw: bytes, number: int) -> bytes:
    """Return the message of another patient, `number`, at most 99,999.

    Times move by 37 seconds a patient, dates by a day and begin anew after a year, results between 80 and 120
    percent.
    """
    text = raw.decode()
    text = _NUMBERS.sub(lambda match: f"{match[0][:-5]}{number:05d}", text)
    text = _TIMES.sub(lambda match: _later(match[0], number), text)
    text = _DATES.sub(
        lambda match: f"{date.fromisoformat(match[0]) + timedelta(days=number % 365):%Y%m%d}", text
    )
    text = _RESULTS.sub(lambda match: match[1] + _result(match[2], match[3] or "", number), text)
    id_number, born = _NUMBERING.id_number(number, 1930 + number % 80, is_male=False)
    for written, own in (
        ("11010519491231002X", id_number),
        ("19491231", f"{born:%Y%m%d}"),
        ("19900307", f"{born:%Y%m%d}"),
        ("15400000001", _NUMBERING.phone(number)),
        ("15400000002", _NUMBERING.phone(number + 100_000)),
        ("文化路97号", f"文化路{number}号"),
        ("秀英", chr(0x4E00 + number // 100) + chr(0x5E00 + number % 100)),
        ("|李^强^", f"|李^{chr(0x4E00 + number % 20_000)}^"),
    ):
        text = text.replace(written, own)
    return text.encode()


def _later(moment: str, number: int) -> str:
    there = datetime.strptime(moment, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return f"{there + timedelta(seconds=37 * number):%Y%m%d%H%M%S}"


def _result(whole: str, fraction: str, number: int) -> str:
    factor = 0.8 + number * 7 % 401 / 1000
    return f"{float(f'{whole}.{fraction}') * factor:.{len(fraction)}f}"


if __name__ == "__main__":
    main()
