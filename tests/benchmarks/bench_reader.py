"""Reading a message of 1.5 KB: our reader, hl7apy and python-hl7 side by side in one run.

"read" ends with every segment and field addressable; "all leaves" also cuts and decodes every field down to
its sub-components, and "group" puts the segments into the groups of their structure. The other two parsers
get the text that they can take: decoded, CR, no groups for hl7apy. Parsers take turns, so that a busy
machine slows all alike.
"""

import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import hl7
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from hl7_gateway.er7.grouping import group
from hl7_gateway.er7.reader import read

MESSAGES = Path(__file__).parent / "messages"
ROUNDS = {"small": 40, "full": 200}
# Runs of each parser in a round: hl7apy takes a thousand times as long as our reader.
RUNS = {"read": 100, "read + all leaves": 25, "read + group": 25, "python-hl7": 5, "hl7apy": 1}


def main(size: str = "small") -> None:
    """Print median, tenth and ninetieth percentile of each parser in microseconds."""
    for name in ("ADT_A01", "ORU_R01"):
        raw = (MESSAGES / f"{name}.hl7").read_bytes()
        gb18030 = raw.replace(b"UNICODE UTF-8", b"GB18030").decode().encode("gb18030")
        text = raw.decode()
        parsers: dict[str, Callable[[], object]] = {
            "read": lambda raw=raw: read(raw),  # type: ignore[misc]  # binds the message of this turn
            "read GB18030": lambda raw=gb18030: read(raw),  # type: ignore[misc]  # the same
            "read + all leaves": lambda raw=raw: _all_leaves(raw),  # type: ignore[misc]  # the same
            "read + group": lambda raw=raw: group(read(raw)),  # type: ignore[misc]  # the same
            "python-hl7": lambda text=text: hl7.parse(text),  # type: ignore[misc]  # the same
            "hl7apy": lambda text=text: parse_message(  # type: ignore[misc]  # the same
                text, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False
            ),
        }
        print(f"{name}, {len(raw)} bytes, {len(read(raw).segments)} segments; microseconds a message")
        for parser, samples in _measured(parsers, ROUNDS[size]).items():
            deciles = statistics.quantiles(samples, n=10)
            median = statistics.median(samples)
            print(f"  {parser:<18} median {median:>9.1f}   p10 {deciles[0]:>9.1f}   p90 {deciles[8]:>9.1f}")


def _measured(parsers: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {name: [] for name in parsers}
    for parse in parsers.values():
        parse()
    for _ in range(rounds):
        for name, parse in parsers.items():
            gc.collect()
            for _ in range(RUNS.get(name, RUNS["read"])):
                began = time.perf_counter_ns()
                parse()
                samples[name].append((time.perf_counter_ns() - began) / 1000)
    return samples


def _all_leaves(raw: bytes) -> None:
    for segment in read(raw).segments:
        for field in range(1, segment.field_count() + 1):
            segment.repetitions(field)


if __name__ == "__main__":
    main()
