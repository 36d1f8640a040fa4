"""A record as a document for people: one HTML page of its own, Chinese first, that needs no other file.

Every element that a resource holds is shown; values of the common data types
(https://hl7.org/fhir/R4/datatypes.html) in one line, all else as it stands. Narratives are not: whoever wrote
them decided what they look like. `hie.core.personal_rights.RecordReader`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

import yaml

from hie.core.fhir.json import Json, JsonObject

_HIDDEN: Final = frozenset({"resourceType", "id", "meta", "text", "contained", "language", "implicitRules"})
_STYLE: Final = (
    "body{font-family:sans-serif;max-width:60rem;margin:1rem auto;padding:0 1rem;line-height:1.5}"
    "section{border-top:1px solid #bbb;padding:.5rem 0;break-inside:avoid}"
    "h2{font-size:1rem;margin:.25rem 0}"
    "dl{display:grid;grid-template-columns:12rem 1fr;gap:.1rem 1rem;margin:0}"
    "dt{color:#555}dd{margin:0;overflow-wrap:anywhere}small{color:#555}"
)
# Data that a page would only show as noise.
_LONGEST: Final = 4_000


class ReadableRecord:
    """Makes the document; times are shown in `zone`."""

    def __init__(self, zone: tzinfo) -> None:
        """Take the zone of the moment that the document was made."""
        self._zone = zone

    def begin(self, patient: JsonObject, made_at: datetime) -> str:
        """Return the beginning of the document about the Patient `patient`."""
        name = escape(next(_values(patient.get("name")), "") or str(patient.get("id", "")))
        moment = made_at.astimezone(self._zone)
        return (
            '<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8">'
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
            " style-src 'unsafe-inline'\">"
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>健康档案副本 Copy of a health record</title><style>{_STYLE}</style></head><body>\n"
            f"<h1>健康档案副本 <small>Copy of a health record</small></h1>\n"
            f"<p>{name}<br><small>{moment:%Y-%m-%d %H:%M} {escape(str(self._zone))}</small></p>\n"
        )

    def show(self, resources: Sequence[JsonObject]) -> str:
        """Return the part of the document that shows `resources`, in their order."""
        return "".join(map(_section, resources))

    def end(self) -> str:
        """Return the end of the document."""
        return "</body></html>\n"


def _section(resource: JsonObject) -> str:
    kind = str(resource.get("resourceType", ""))
    lines = "".join(
        f"<dt>{_label('elements', name)}</dt><dd>{'<br>'.join(map(escape, shown))}</dd>"
        for name, value in resource.items()
        if name not in _HIDDEN and not name.startswith("_") and (shown := list(_values(value)))
    )
    reference = escape(f"{kind}/{resource.get('id', '')}")
    return f"<section><h2>{_label('types', kind)}</h2><small>{reference}</small><dl>{lines}</dl></section>\n"


def _label(group: str, name: str) -> str:
    found = _labels()[group].get(name)
    return escape(name) if found is None else f"{escape(found[0])} <small>{escape(found[1])}</small>"


@cache
def _labels() -> dict[str, dict[str, list[str]]]:
    text = files("hie.rights").joinpath("labels.yaml").read_text(encoding="utf-8")
    found: dict[str, dict[str, list[str]]] = yaml.safe_load(text)
    return found


def _values(value: Json) -> Iterator[str]:
    """Yield the lines that show an element, one for each of a list."""
    if isinstance(value, list):
        for each in value:
            yield from _values(each)
    elif isinstance(value, dict):
        shown = _line(value)
        if shown:
            yield shown[:_LONGEST]
    elif isinstance(value, bool):
        yield "是 yes" if value else "否 no"
    elif value is not None:
        yield str(value)[:_LONGEST]


def _line(value: JsonObject) -> str:  # noqa: C901, PLR0911 - one a data type
    """Return one line for a value of a data type: by what it has, for types are not told in JSON."""
    if "coding" in value or set(value) == {"text"}:
        return str(value.get("text") or "; ".join(_coding(each) for each in value.get("coding", ())))
    if "code" in value and isinstance(value["code"], str) and ("system" in value or "display" in value):
        is_quantity = "value" in value
        return _quantity(value) if is_quantity else _coding(value)
    if "value" in value and ("unit" in value or "comparator" in value):
        return _quantity(value)
    if "start" in value or "end" in value:
        return f"{value.get('start') or '…'} – {value.get('end') or '…'}"
    if "reference" in value or ("display" in value and "identifier" in value):
        return str(value.get("display") or value.get("reference"))
    if "family" in value or "given" in value:
        return str(
            value.get("text") or " ".join([str(value.get("family", "")), *value.get("given", ())]).strip()
        )
    if "contentType" in value:
        return " ".join(str(value[name]) for name in ("title", "contentType", "url") if value.get(name))
    parts = []
    for name, each in value.items():
        if name.startswith("_") or name in ("extension", "id"):
            continue
        shown = "; ".join(_values(each))
        if shown:
            labels = _labels()["elements"].get(name)
            parts.append(f"{labels[0] if labels else name}: {shown}")
    return " · ".join(parts)


def _coding(coding: JsonObject) -> str:
    return str(coding.get("display") or coding.get("code") or "")


def _quantity(value: JsonObject) -> str:
    number = f"{value.get('comparator', '')}{value.get('value', '')}"
    return f"{number} {value.get('unit') or value.get('code') or ''}".strip()
