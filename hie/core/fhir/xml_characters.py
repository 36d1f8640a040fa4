"""Characters of XML 1.0: which there are, and how text is written in an attribute or between tags.

https://www.w3.org/TR/xml/#charsets, #AVNormalize.
"""

import re
from typing import Final

# What cannot stand as it is: markup, white space that a reader of attributes would make a space of, and
# what is no character of XML at all.
_SPECIAL: Final = re.compile('[&<>"\x00-\x1f\ud800-\udfff\ufffe\uffff]')
_REFERENCES: Final = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}


def escaped(text: str) -> str:
    """Return `text` as it is written between double quotes, or between tags.

    Raises ValueError for a character that XML has no way to write (U+0000 to U+001F but for tab and line
    ends, surrogates, U+FFFE and U+FFFF).
    """
    return _SPECIAL.sub(_reference, text) if _SPECIAL.search(text) else text


def _reference(found: re.Match[str]) -> str:
    reference = _REFERENCES.get(found[0])
    if reference is None:
        raise ValueError(f"XML has no character U+{ord(found[0]):04X}")
    return reference
