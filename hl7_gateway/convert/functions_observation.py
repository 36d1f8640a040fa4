"""The value of an Observation: OBX-5 in the type that OBX-2 names, with units (OBX-6) and range (OBX-7).

Beyond the guide, because analysers and Chinese laboratory systems write so: a number with a comparator in an
NM ("<0.05") is a Quantity with comparator; a plain number in an ST that has units is a Quantity, for a string
has no place for its unit; repeated lines of TX and FT are one text. What is not of its type is a string.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-obx-to-observation.html
"""

from collections.abc import Callable
from typing import Final

from hie.core.errors import DataTypeError
from hie.core.fhir.json import Json, JsonObject
from hl7_gateway.convert.accounting import WHOLE, Account, Reads
from hl7_gateway.convert.functions import named_function
from hl7_gateway.convert.makers import reads_of
from hl7_gateway.convert.memory import keep, recall
from hl7_gateway.convert.observation_units import put_number, unit_of
from hl7_gateway.convert.roles import report_dropped
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes import primitives, written_numbers
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.cwe import cwe_codeable_concept
from hl7_gateway.datatypes.registry import find
from hl7_gateway.datatypes.sn import text_of
from hl7_gateway.datatypes.st import whole
from hl7_gateway.er7.message import NULL, Repetition, Segment
from hl7_gateway.er7.text import part

Value = tuple[str, Json]
Build = Callable[[Repetition, JsonObject | None, Context], Value | None]

_KIND, _VALUE, _UNITS, _RANGE, _FLAG = 2, 5, 6, 7, 8
_ATTACHMENT: Final = "https://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.valueAttachment"
_WITH_UNITS: Final = frozenset({"valueQuantity", "valueRange", "valueRatio"})
_TEXTS: Final = frozenset({"TX", "FT"})
_ONE: Final = (1,)
_NO_UNIT: Final[tuple[JsonObject | None, Reads]] = (None, ())
_EMPTY: Final = frozenset({"", NULL})
_INTERPRETATIONS: Final = "InterpretationCodes"


@named_function
def observation_value(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBX-5 becomes value[x], or one component for each repetition (IG, OBX[Observation-Component])."""
    if segment.fields[_KIND] == "NM" and put_number(segment, resource, run, account):
        return
    repetitions = segment.repetitions(_VALUE)
    kind = _kind(segment)
    units = segment.repetitions(_UNITS)
    unit = recall(run.memory, unit_of, units[0], run.context) if units else _NO_UNIT
    if run.context.dropped:
        report_dropped(segment, _UNITS, 0, units[0], run)
    if len(repetitions) == 1:
        _put(segment, kind, repetitions[0], 0, unit, resource, run, account)
        return
    if kind in _TEXTS:
        lines = [whole(repetition).rstrip() for repetition in repetitions]
        text = primitives.markdown("\n".join(["" if line.strip() == NULL else line for line in lines]))
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
    text = whole(repetition)
    if text.strip("^&~ \r\n\t") in _EMPTY:
        return False
    unit, reads_of_unit = unit_read
    name, value, reads = _value(kind, repetition, unit, run.context)
    if run.context.dropped:
        report_dropped(segment, _VALUE, number, repetition, run)
    if value is None:
        return False
    _cover(account, segment, _VALUE, number, reads)
    if name == "extension":
        target.setdefault("extension", []).append(value)
    else:
        target[name] = value
        if name == "valueQuantity":
            _interpret(segment, text, target, run)
    if unit is not None:
        if _holds_unit(name, value, unit):
            _cover(account, segment, _UNITS, 0, reads_of_unit)
        else:
            account.fail(_UNITS, 0, "the value is no number, or has another unit")
    return True


def _interpret(segment: Segment, text: str, target: JsonObject, run: Run) -> None:
    """Add the arrow behind a number as an interpretation, unless OBX-8 says the same."""
    arrows = written_numbers.arrows(text)
    if not arrows:
        return
    translate, said = run.context.translator.translate, segment.first(_FLAG).strip()
    if not said or translate(_INTERPRETATIONS, said) != translate(_INTERPRETATIONS, arrows):
        concept = cwe_codeable_concept(((arrows,),), run.context, _INTERPRETATIONS)
        target.setdefault("interpretation", []).append(concept)


def _cover(account: Account, segment: Segment, field: int, number: int, reads: Reads) -> None:
    """Cover one repetition; a field of a single one is quicker covered as a whole."""
    if number == 0 and len(segment.repetitions(field)) == 1:
        account.cover(field, reads)
    else:
        account.cover_repetition(field, number, reads)


@named_function
def value_type(segment: Segment, _resource: JsonObject, _run: Run, account: Account) -> None:
    """OBX-2 is the type of value[x], if it is one that value[x] knows."""
    if segment.fields[_KIND] in _BUILDERS:
        account.whole.add(_KIND)
    elif _kind(segment) in _BUILDERS:
        account.cover_repetition(_KIND, 0, _ONE)


@named_function
def reference_range(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBX-7 is the text of a reference range, with low and high where it says no more than these two."""
    fields = segment.fields
    place = (_RANGES, f"{fields[_RANGE]}{segment.delimiters.field}{fields[_UNITS]}")
    entry: JsonObject | None = run.memory.get(place)
    if entry is None:
        entry = _range_entry(segment, run)
        if entry is None:
            return
        keep(run.memory, place, entry)
    account.whole.add(_RANGE)
    components = resource.get("component")
    if components is None:
        resource["referenceRange"] = [entry.copy()]
        return
    for component in components:
        component["referenceRange"] = [entry.copy()]


def _range_entry(segment: Segment, run: Run) -> JsonObject | None:
    """Return the reference range, None when OBX-7 says nothing; it depends on OBX-6 and OBX-7 alone."""
    repetitions = segment.repetitions(_RANGE)
    single = repetitions[0] if len(repetitions) == 1 else None
    text = primitives.string(
        "~".join([whole(rep) for rep in repetitions]) if single is None else whole(single)
    )
    if text is None:
        return None
    low, high = written_numbers.bounds(text)
    units = segment.repetitions(_UNITS) if low is not None or high is not None else ()
    unit = (recall(run.memory, unit_of, units[0], run.context)[0] if units else None) or {}
    run.context.dropped.clear()  # reported with the value
    entry: JsonObject = {}
    if low is not None:
        entry["low"] = {"value": low, **unit}
    if high is not None:
        entry["high"] = {"value": high, **unit}
    entry["text"] = text
    return entry


# What `memory` knows reference ranges by.
_RANGES: Final = id(_range_entry)


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
    """Whether the value says all that its unit says."""
    if name == "valueQuantity":
        return unit.items() <= _object(value).items()
    if name in _WITH_UNITS:
        ends = [end for end in _object(value).values() if isinstance(end, dict)]
        return bool(ends) and all(unit.items() <= end.items() for end in ends)
    return name == "valueString" and len(unit) == 1 and str(value).endswith(f" {unit['unit']}")


def _with_unit(text: str, unit: JsonObject | None) -> str:
    return f"{text} {unit['unit']}" if unit is not None else text


def _number(repetition: Repetition, unit: JsonObject | None, _ctx: Context) -> Value | None:
    """NM: a quantity; what is no number is a text, with its unit behind it if it has digits only."""
    text = whole(repetition)
    quantity = written_numbers.quantity(text)
    if quantity is not None:
        return "valueQuantity", quantity if unit is None else {**quantity, **unit}
    return _plain_text(text, unit)


def _text(repetition: Repetition, unit: JsonObject | None, _ctx: Context) -> Value | None:
    text = whole(repetition)
    quantity = written_numbers.quantity(text) if unit is not None else None
    if quantity is not None:
        return "valueQuantity", {**quantity, **(unit or {})}
    return _plain_text(text, unit)


def _plain_text(text: str, unit: JsonObject | None) -> Value | None:
    value = primitives.markdown(text)
    if value is None:
        return None
    return "valueString", _with_unit(value, unit) if written_numbers.is_numeric(value) else value


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


def _range(repetition: Repetition, unit: JsonObject | None, ctx: Context) -> Value | None:
    """NR: a range in the units of OBX-6."""
    span = _NR_RANGE(repetition, ctx)
    return None if span is None else ("valueRange", _into(span, ("low", "high"), unit))


def _composite(repetition: Repetition, unit: JsonObject | None, ctx: Context) -> Value | None:
    """CQ: a quantity with its own unit; without one it has that of OBX-6."""
    quantity = _CQ_QUANTITY(repetition, ctx)
    if quantity is None:
        return None
    own = _object(quantity)
    return "valueQuantity", own if unit is None or "unit" in own else {**own, **unit}


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
_NR_RANGE, _CQ_QUANTITY = find("NR_Range").bind(), find("CQ_Quantity").bind()
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
    "NR": (_range, (1, 1)),
    "VR": (_versus, (1, 1)),
    "CQ": (_composite, reads_of(find("CQ_Quantity"))),
    "NA": _of("valueString", "NA_string"),
    "ED": _attachment("ED_Attachment"),
    "RP": _attachment("RP_Attachment"),
}
