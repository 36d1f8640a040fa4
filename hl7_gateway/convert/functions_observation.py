"""The value of an Observation: OBX-5 in the type that OBX-2 names, with units (OBX-6) and range (OBX-7).

Beyond the guide, because analysers and Chinese laboratory systems write so: a number with a comparator in an
NM ("<0.05") is a Quantity with comparator; a plain number in an ST that has units is a Quantity, for a string
has no place for its unit; repeated lines of TX and FT are one text. What is not of its type is a string.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-obx-to-observation.html
"""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Final

from hie.core.errors import DataTypeError
from hie.core.fhir.json import Json, JsonObject
from hl7_gateway.convert.accounting import WHOLE, Account, Reads, is_read_whole
from hl7_gateway.convert.functions import named_function
from hl7_gateway.convert.makers import reads_of
from hl7_gateway.convert.memory import recall
from hl7_gateway.convert.roles import report_dropped
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.cwe import cwe_quantity
from hl7_gateway.datatypes.registry import find
from hl7_gateway.datatypes.sn import text_of
from hl7_gateway.datatypes.st import whole
from hl7_gateway.datatypes.units import joined
from hl7_gateway.er7.message import Repetition, Segment
from hl7_gateway.er7.text import part

Value = tuple[str, Json]
Build = Callable[[Repetition, JsonObject | None, Context], Value | None]

_KIND, _VALUE, _UNITS, _RANGE = 2, 5, 6, 7
_ATTACHMENT: Final = "https://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.valueAttachment"
_WITH_UNITS: Final = frozenset({"valueQuantity", "valueRange", "valueRatio"})
_TEXTS: Final = frozenset({"TX", "FT"})
_ONE: Final = (1,)
_UNIT_PLACES: Final = 3
_NO_UNIT: Final[tuple[JsonObject | None, Reads]] = (None, ())
_NULL: Final[Repetition] = (('""',),)
_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_COMPARED: Final = re.compile(rf"\s*(<=|>=|<|>|≤|≥|＜|＞|〈|〉)\s*([+-]?{_NUMBER})\s*\Z")
_PLAIN: Final = re.compile(rf"\s*[+-]?{_NUMBER}\s*\Z")
_COMPARATORS: Final = {"≤": "<=", "≥": ">=", "＜": "<", "＞": ">", "〈": "<", "〉": ">"}
_FROM_TO: Final = re.compile(rf"\s*(-?{_NUMBER})\s*(?:--|-|–|—|~|～|－|至|to)\s*(-?{_NUMBER})\s*\Z")
_FLOORS: Final = frozenset({">", ">="})


@named_function
def observation_value(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBX-5 becomes value[x], or one component for each repetition (IG, OBX[Observation-Component])."""
    repetitions = segment.repetitions(_VALUE)
    kind = _kind(segment)
    units = segment.repetitions(_UNITS)
    unit = recall(run.memory, _unit, units[0], run.context) if units else _NO_UNIT
    if run.context.dropped:
        report_dropped(segment, _UNITS, 0, units[0], run)
    if len(repetitions) == 1:
        _put(segment, kind, repetitions[0], 0, unit, resource, run, account)
        return
    if kind in _TEXTS:
        text = primitives.markdown("\n".join([whole(repetition).rstrip() for repetition in repetitions]))
        if text is not None:
            account.cover(_VALUE)
            resource["valueString"] = text
        return
    components: list[JsonObject] = []
    for number, repetition in enumerate(repetitions):
        component: JsonObject = {"code": resource.get("code", {"text": kind})}
        if _put(segment, kind, repetition, number, unit, component, run, account):
            components.append(component)
    if components:
        resource["component"] = components


def unit_reads(repetition: Repetition) -> Reads:
    """Return what is read of a unit: code, text and system, with the halves of a power as one of them."""
    halves = len(repetition) - len(joined(repetition)) if len(repetition) > 1 else 0
    reads = (1,) * (_UNIT_PLACES + halves)
    return WHOLE if is_read_whole(repetition, reads) else reads


def _unit(repetition: Repetition, context: Context) -> tuple[JsonObject | None, Reads]:
    return cwe_quantity(repetition, context), unit_reads(repetition)


def _kind(segment: Segment) -> str:
    kind = segment.raw(_KIND)
    return kind if kind in _BUILDERS else segment.first(_KIND).strip().upper()


def _put(
    segment: Segment,
    kind: str,
    repetition: Repetition,
    number: int,
    unit_read: tuple[JsonObject | None, Reads],
    target: JsonObject,
    run: Run,
    account: Account,
) -> bool:
    """Put the value of one repetition into `target`; return whether there is one."""
    if not whole(repetition).strip("^&~ \r\n\t") or repetition == _NULL:
        return False
    unit, reads_of_unit = unit_read
    name, value, reads = _value(kind, repetition, unit, run.context)
    _cover(account, segment, _VALUE, number, reads)
    if run.context.dropped:
        report_dropped(segment, _VALUE, number, repetition, run)
    if name == "extension":
        target.setdefault("extension", []).append(value)
    else:
        target[name] = value
    if unit is not None and _holds_unit(name, value, unit):
        _cover(account, segment, _UNITS, 0, reads_of_unit)
    return True


def _cover(account: Account, segment: Segment, field: int, number: int, reads: Reads) -> None:
    """Cover one repetition; a field of a single one is quicker covered as a whole."""
    if number == 0 and len(segment.repetitions(field)) == 1:
        account.cover(field, reads)
    else:
        account.cover_repetition(field, number, reads)


@named_function
def value_type(segment: Segment, _resource: JsonObject, _run: Run, account: Account) -> None:
    """OBX-2 is the type of value[x], if it is one that value[x] knows."""
    if segment.raw(_KIND) in _BUILDERS:
        account.cover(_KIND)
    elif _kind(segment) in _BUILDERS:
        account.cover_repetition(_KIND, 0, _ONE)


@named_function
def link_to_parents(_segment: Segment, resource: JsonObject, run: Run, _account: Account) -> None:
    """Note to which report and order the new observation belongs: its key and its completion ask for them."""
    instance = run.instances[-1]
    if instance.resource is not resource:
        return
    for name in ("report", "order"):
        other = run.frame.find(name)
        if other is not None:
            instance.links.setdefault(name, other)


@named_function
def reference_range(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBX-7 is the text of a reference range, with low and high where it says no more than these two."""
    repetitions = segment.repetitions(_RANGE)
    single = repetitions[0] if len(repetitions) == 1 else None
    text = primitives.string(
        "~".join([whole(rep) for rep in repetitions]) if single is None else whole(single)
    )
    if text is None:
        return
    account.cover(_RANGE)
    low, high = _bounds(text)
    units = segment.repetitions(_UNITS) if low is not None or high is not None else ()
    unit = (recall(run.memory, _unit, units[0], run.context)[0] if units else None) or {}
    run.context.dropped.clear()  # reported with the value
    entry: JsonObject = {}
    if low is not None:
        entry["low"] = {"value": low, **unit}
    if high is not None:
        entry["high"] = {"value": high, **unit}
    entry["text"] = text
    components = resource.get("component")
    if components is None:
        resource["referenceRange"] = [entry]
        return
    for component in components:
        component["referenceRange"] = [entry]


@lru_cache(maxsize=4096)
def _bounds(text: str) -> tuple[Decimal | None, Decimal | None]:
    """Return low and high of "3.5-5.5", "<5" and the like, None for what any other text does not say."""
    between = _FROM_TO.match(text)
    if between is not None:
        low, high = Decimal(between[1]), Decimal(between[2])
        if low < 0 and "--" in text:
            # "-3--2" may end at 2 or at -2.
            return None, None
        return (low, high) if low <= high else (None, None)
    compared = _COMPARED.match(text)
    if compared is None:
        return None, None
    value = Decimal(compared[2])
    return (value, None) if _COMPARATORS.get(compared[1], compared[1]) in _FLOORS else (None, value)


def _value(
    kind: str, repetition: Repetition, unit: JsonObject | None, ctx: Context
) -> tuple[str, Json, Reads]:
    """Return the element, its value and what was read; text not of its type is a string."""
    build, reads = _BUILDERS.get(kind, (_text, WHOLE))
    try:
        built = build(repetition, unit, ctx)
    except DataTypeError:
        built = None
    if built is not None:
        return *built, reads
    return "valueString", primitives.markdown(whole(repetition)), WHOLE


def _holds_unit(name: str, value: Json, unit: JsonObject) -> bool:
    return name in _WITH_UNITS or (name == "valueString" and str(value).endswith(f" {unit['unit']}"))


def _with_unit(text: str, unit: JsonObject | None) -> str:
    return f"{text} {unit['unit']}" if unit is not None else text


def _quantity(text: str, unit: JsonObject | None) -> Value | None:
    if text[0] in "<>≤≥＜＞〈〉 ":
        compared = _COMPARED.match(text)
        if compared is not None:
            comparator = _COMPARATORS.get(compared[1], compared[1])
            return "valueQuantity", {"value": Decimal(compared[2]), "comparator": comparator, **(unit or {})}
    value = primitives.decimal(text)
    if value is None:
        return None
    return "valueQuantity", {"value": value} if unit is None else {"value": value, **unit}


def _number(repetition: Repetition, unit: JsonObject | None, _ctx: Context) -> Value | None:
    return _quantity(whole(repetition), unit)


def _text(repetition: Repetition, unit: JsonObject | None, _ctx: Context) -> Value | None:
    text = whole(repetition)
    if unit is not None and (_PLAIN.match(text) or _COMPARED.match(text)):
        return _quantity(text, unit)
    value = primitives.markdown(text)
    return None if value is None else ("valueString", value)


def _structured(repetition: Repetition, unit: JsonObject | None, ctx: Context) -> Value | None:
    """SN: a ratio with ":" or "/", a range with "-", a string with "<>" or "+", else a quantity."""
    comparator, separator = part(repetition, 1).strip(), part(repetition, 3).strip()
    if comparator == "<>" or separator == "+":
        return "valueString", _with_unit(text_of(repetition), unit)
    try:
        if separator in (":", "/"):
            ratio = _SN_RATIO(repetition, ctx)
            return None if ratio is None else ("valueRatio", _into(ratio, ("numerator", "denominator"), unit))
        if separator == "-":
            span = _SN_RANGE(repetition, ctx)
            return None if span is None else ("valueRange", _into(span, ("low", "high"), unit))
        quantity = _SN_QUANTITY(repetition, ctx)
    except DataTypeError:
        return "valueString", _with_unit(text_of(repetition), unit)
    return None if quantity is None else ("valueQuantity", {**_object(quantity), **(unit or {})})


def _into(value: Json, names: tuple[str, str], unit: JsonObject | None) -> JsonObject:
    result = _object(value)
    if unit is not None:
        for name in names:
            if name in result:
                result[name] = {**result[name], **unit}
    return result


def _object(value: Json) -> JsonObject:
    result: JsonObject = value
    return result


def _versus(repetition: Repetition, _unit: JsonObject | None, _ctx: Context) -> Value | None:
    """VR: "first-second"."""
    texts = [text for place in (1, 2) if (text := primitives.string(part(repetition, place))) is not None]
    return ("valueString", "-".join(texts)) if texts else None


def _attachment(name: str) -> tuple[Build, Reads]:
    datatype = find(name)
    convert = datatype.bind()

    def build(repetition: Repetition, _unit: JsonObject | None, ctx: Context) -> Value | None:
        value = convert(repetition, ctx)
        return None if value is None else ("extension", {"url": _ATTACHMENT, "valueAttachment": value})

    return build, reads_of(datatype)


def _of(element: str, name: str) -> tuple[Build, Reads]:
    datatype = find(name)
    convert = datatype.bind()

    def build(repetition: Repetition, _unit: JsonObject | None, ctx: Context) -> Value | None:
        value = convert(repetition, ctx)
        return None if value is None else (element, value)

    return build, reads_of(datatype)


_SN_QUANTITY, _SN_RANGE, _SN_RATIO = (find(f"SN_{name}").bind() for name in ("Quantity", "Range", "Ratio"))
_CODED = _of("valueCodeableConcept", "CWE_CodeableConcept")
_TIME = _of("valueDateTime", "TS_dateTime")
_BUILDERS: Final[dict[str, tuple[Build, Reads]]] = {
    "NM": (_number, WHOLE),
    "SI": (_number, WHOLE),
    "SN": (_structured, (1, 1, 1, 1)),
    "ST": (_text, WHOLE),
    "TX": (_text, WHOLE),
    "FT": (_text, WHOLE),
    "CE": _CODED,
    "CWE": _CODED,
    "CNE": _CODED,
    "CF": _CODED,
    "IS": _CODED,
    "ID": _CODED,
    "DR": _of("valuePeriod", "DR_Period"),
    "DTM": _TIME,
    "DT": _TIME,
    "TS": _TIME,
    "TM": _of("valueTime", "TM_time"),
    "NR": _of("valueRange", "NR_Range"),
    "VR": (_versus, (1, 1)),
    "CQ": _of("valueQuantity", "CQ_Quantity"),
    "NA": _of("valueString", "NA_string"),
    "ED": _attachment("ED_Attachment"),
    "RP": _attachment("RP_Attachment"),
}
