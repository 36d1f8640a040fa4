"""Shows the Python that is written for segment maps and for the places of message maps.

python -m hl7_gateway.convert.show PID_Patient
python -m hl7_gateway.convert.show "ORU_R01 PID ORC OBR OBX"
"""

import sys
from collections.abc import Sequence

from hl7_gateway.convert import registration
from hl7_gateway.convert.engine import CompiledMessage
from hl7_gateway.convert.loading import load_message_maps, load_segment_maps
from hl7_gateway.convert.rules import CompiledMap


def texts() -> dict[str, str]:
    """Return the source text of every function, by segment map and by place of a message map."""
    registration.load()
    maps = {name: CompiledMap(source) for name, source in load_segment_maps().items()}
    shown = {name: compiled.text for name, compiled in maps.items()}
    for source in load_message_maps():
        shown |= {visit.name: visit.text for visit in CompiledMessage(source, maps).visits}
    return shown


def main(names: Sequence[str]) -> int:
    """Write the functions called `names`, and without any what can be shown; return the exit status."""
    shown = texts()
    unknown = [name for name in names if name not in shown]
    if unknown:
        sys.stderr.write(f"There is no map or place `{unknown[0]}`\n")
        return 1
    sys.stdout.write("\n\n".join([shown[name] for name in names]) if names else "\n".join([*shown, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
