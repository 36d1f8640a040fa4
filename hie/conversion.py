"""The conversion of HL7 v2 as the gateway and `hie convert` have it, put together without a server.

It stands apart from `hie.wiring`, so that converting a file imports no server either.
"""

from hl7_gateway.convert.engine import Engine
from terminology.translation import ConceptMaps


def engine() -> Engine:
    """Return a conversion engine with its maps compiled; it needs no database."""
    return Engine(ConceptMaps())
