"""Vendor profiles: how each make of hospital system speaks HL7 v2, one file a vendor under `vendors/`.

The vendors are invented; their habits are those met in real hospital interfaces.
A habit is a value here and a place in `segments` or `messages` that reads it.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml


@dataclass(frozen=True, slots=True)
class LocalSegment:
    """A Z-segment: `fields` are format strings over the values `segments.local_values` gives."""

    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vendor:
    """The habits of one make of hospital system.

    charset: Python codec of the bytes; msh18: what MSH-18 says, None when the vendor leaves it out.
    id_fields: the PID fields that carry the ID card number. authority: how CX-4 is filled.
    stamp: precision of times; observed: that of OBR-7;
    offset: whether times carry the zone. codes: how tests are coded.
    lab_order: the message that orders tests. prescriptions: whether drugs are ordered by ORM^O01
    (withdrawn in v2.7). diagnosis_event: the ADT event that carries DG1.
    """

    key: str
    product: str
    version: str
    charset: str
    msh18: str | None
    line_end: str
    encoding_characters: str
    has_structure: bool
    has_event_code: bool
    trailing_delimiters: int
    control_id: Literal["serial", "timestamp"]
    name_style: Literal["split", "whole", "pinyin"]
    address_style: Literal["split", "whole"]
    phone_style: Literal["plain", "local", "unformatted"]
    id_fields: tuple[str, ...]
    card_type: str
    authority: Literal["namespace", "universal", "none"]
    sends_health_card: bool
    sex: Literal["table", "national"]
    birth: Literal["date", "time"]
    stamp: Literal["second", "minute", "fraction"]
    observed: Literal["time", "date"]
    offset: bool
    nulls: bool
    codes: Literal["short", "number", "prefixed"]
    units: Literal["coded", "text", "ucum"]
    flags: Literal["table", "arrow"]
    has_obr3: bool
    has_specimen: bool
    lab_order: Literal["OML^O21", "ORM^O01"]
    prescriptions: bool
    diagnosis_event: Literal["A04", "A08"]
    ends_outpatient: bool
    insurance: bool
    local_segments: tuple[LocalSegment, ...]


@cache
def vendors() -> dict[str, Vendor]:
    """Return every vendor profile by its key, the name of its file."""
    found = {}
    for file in sorted(files("hie.simulator").joinpath("vendors").iterdir(), key=lambda each: each.name):
        if file.name.endswith(".yaml"):
            row = yaml.safe_load(file.read_bytes())
            key = file.name.removesuffix(".yaml")
            local = tuple(LocalSegment(each["name"], tuple(each["fields"])) for each in row["local_segments"])
            row |= {"key": key, "id_fields": tuple(row["id_fields"]), "local_segments": local}
            found[key] = Vendor(**row)
    return found
