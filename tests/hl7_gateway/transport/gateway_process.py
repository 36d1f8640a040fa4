"""A gateway as a process of its own: ``python -m tests.hl7_gateway.transport.gateway_process FILE``.

Settings come from the environment. When it ends, what it measured is written to FILE as JSON.
"""

import json
import sys
from pathlib import Path

from prometheus_client import REGISTRY

from hie import wiring
from hie.core.settings import Settings


def main() -> None:
    with wiring.build(Settings()) as exchange:
        exchange.gateway().run()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(_measured()), encoding="utf-8")


def _measured() -> dict[str, float]:
    found: dict[str, float] = {}
    for metric in REGISTRY.collect():
        if metric.name.startswith("hie_gateway"):
            for sample in metric.samples:
                if "le" not in sample.labels:
                    found["/".join((sample.name, *sample.labels.values()))] = sample.value
    return found


if __name__ == "__main__":
    main()
