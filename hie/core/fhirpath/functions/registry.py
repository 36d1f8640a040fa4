"""Every function by its name."""

from typing import Final

from hie.core.fhirpath.functions.collections import COLLECTIONS
from hie.core.fhirpath.functions.conversion import CONVERSION
from hie.core.fhirpath.functions.existence import EXISTENCE
from hie.core.fhirpath.functions.fhir import FHIR
from hie.core.fhirpath.functions.function import Function
from hie.core.fhirpath.functions.mathematics import MATHEMATICS
from hie.core.fhirpath.functions.reflection import REFLECTION
from hie.core.fhirpath.functions.strings import STRINGS
from hie.core.fhirpath.functions.utility import UTILITY

FUNCTIONS: Final[dict[str, Function]] = {
    **EXISTENCE,
    **COLLECTIONS,
    **CONVERSION,
    **STRINGS,
    **MATHEMATICS,
    **UTILITY,
    **REFLECTION,
    **FHIR,
}
