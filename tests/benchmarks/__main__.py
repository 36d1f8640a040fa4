"""`make bench` and `make bench-full`: every `bench_*.py` here, or those named.

Each benchmark is a module with `main(size: str) -> None`, size "small" or "full", that
prints machine-independent names with medians and spread, and also runs alone:
``python -m tests.benchmarks --size small reader convert``.
"""

import argparse
import importlib
import os
import platform
import time
from pathlib import Path

from hie.core.db import embedded

# The embedded server that the benchmarks share.
SERVER = Path(__file__).resolve().parents[2] / "var" / "bench" / "postgres"


def _names() -> list[str]:
    return sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(_names()))
    parser.add_argument("--size", choices=("small", "full"), default="small")
    arguments = parser.parse_args()
    # what benchmarks measure besides authentication asks as nobody
    os.environ.setdefault("HIE_AUTH", "off")
    print(f"{_cpu()}, {os.cpu_count()} cores, Python {platform.python_version()}, size {arguments.size}")
    try:
        for name in arguments.names or _names():
            print(f"\n== {name}", flush=True)
            began = time.perf_counter()
            importlib.import_module(f"tests.benchmarks.bench_{name}").main(arguments.size)
            print(f"-- {name}: {time.perf_counter() - began:.1f} s", flush=True)
    finally:
        if SERVER.exists():
            embedded.stop(SERVER)


if __name__ == "__main__":
    main()
