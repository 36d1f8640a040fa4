"""The register of processing as a file: JSON, or CSV (RFC 4180), in UTF-8 or GB18030.

Offices in the country open CSV with programs that expect GB18030 (GB 18030-2022); UTF-8 begins with its mark,
by which they know it. A cell that a spreadsheet would run as a formula is made text
(https://owasp.org/www-community/attacks/CSV_Injection). Pure.
"""

import csv
import io
from collections.abc import Sequence
from typing import Final, Literal

from hie.core.fhir.json import dumps_pretty
from hie.rights.processing import FIELDS, Entry

Charset = Literal["utf-8", "gb18030"]

_COLUMNS: Final = ("id", "version", "state", *FIELDS, "made_by", "made_at")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def as_csv(entries: Sequence[Entry], charset: Charset) -> bytes:
    """Return the entries as CSV with a line of headings."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for entry in entries:
        shown = entry.as_json
        writer.writerow([_harmless(str(shown[name])) for name in _COLUMNS])
    return text.getvalue().encode("utf-8-sig" if charset == "utf-8" else charset)


def as_json(entries: Sequence[Entry], charset: Charset) -> bytes:
    """Return the entries as a JSON list."""
    return dumps_pretty([entry.as_json for entry in entries]).decode().encode(charset)


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
