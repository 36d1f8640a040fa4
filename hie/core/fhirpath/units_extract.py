"""Makes `ucum_units.json` from the definitions of UCUM that npm `@lhncbc/ucum-lhc` 7.1.10 carries.

Run as ``python -m hie.core.fhirpath.units_extract FOLDER``, with the folder of the unpacked package. Kept are
the prefixes and the units whose source is UCUM itself (https://ucum.org/ucum; their licence:
https://ucum.org/license).
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

_TARGET: Final = Path(__file__).with_name("ucum_units.json")
_SOURCE: Final = (
    "UCUM, The Unified Code for Units of Measure, Copyright 1999-2024 Regenstrief Institute, Inc. "
    "All rights reserved. "
    "https://ucum.org/license. Taken from npm @lhncbc/ucum-lhc 7.1.10."
)


def extract(folder: Path) -> dict[str, Any]:
    """Return the data file: prefix -> power of ten or factor, base units, unit -> [factor, unit, flags].

    Flags: M takes prefixes, S is on a special scale, A is arbitrary (compares with nothing but itself).
    """
    definitions = json.loads((folder / "data" / "ucumDefs.min.json").read_text())
    prefixes = {row[0]: f"1e{row[5]}" if row[5] else str(row[4]) for row in definitions["prefixes"]["data"]}
    names = [name if isinstance(name, str) else name[0] for name in definitions["units"]["config"]]
    bases: list[str] = []
    units: dict[str, list[str]] = {}
    for row in definitions["units"]["data"]:
        unit = dict(zip(names, row, strict=True))
        if unit["source_"] != "UCUM":
            continue
        if unit["isBase_"]:
            bases.append(unit["csCode_"])
            continue
        flags = "M" * unit["isMetric_"] + "S" * unit["isSpecial_"] + "A" * unit["isArbitrary_"]
        factor = unit["baseFactorStr_"] or str(unit["baseFactor_"])
        units[unit["csCode_"]] = [factor, unit["csUnitString_"], flags]
    return {"source": _SOURCE, "prefixes": prefixes, "bases": bases, "units": units}


if __name__ == "__main__":
    _TARGET.write_text(json.dumps(extract(Path(sys.argv[1])), indent=1, ensure_ascii=False) + "\n")
