"""Narrative between JSON, where it is text, and XML, where it is markup.

https://hl7.org/fhir/R4/narrative.html#xhtml. Which elements and attributes a narrative may have is
not looked at here.
"""

import re
from html.entities import name2codepoint
from typing import Final
from xml.parsers import expat

from hie.core.fhir.xml_characters import escaped

XHTML: Final = "http://www.w3.org/1999/xhtml"

_PREDEFINED: Final = frozenset({"amp", "apos", "gt", "lt", "quot"})
# Sections in which an ampersand is only an ampersand, and references to entities by name.
_NAMED_ENTITY: Final = re.compile(rb"<!\[CDATA\[.*?\]\]>|<!--.*?-->|&([A-Za-z][A-Za-z0-9]*);", re.DOTALL)
_NAME: Final = re.compile(rb"&(?!(?:amp|apos|gt|lt|quot);)[A-Za-z]")
_DIV: Final = re.compile(r"<div(?=[\s/>])")


def with_numeric_entities(text: bytes) -> bytes:
    """Return `text` with the named entities of XHTML 1.0 as numbers: ``&#160;`` for ``&nbsp;``.

    XML without a document type knows five names only. Names that XHTML does not have stay, for the
    XML parser to refuse. Source: https://www.w3.org/TR/xhtml1/dtds.html#h-A2, as html.entities has it.
    """
    return _NAMED_ENTITY.sub(_number, text) if _NAME.search(text) else text


def as_markup(div: str) -> str:
    """Return the text of `Narrative.div` as markup that may stand inside an XML document.

    Markup that is not well-formed XML is shown as the text of a div. Raises ValueError for a character
    that XML does not have.
    """
    text = with_numeric_entities(div.encode()).decode()
    roots: list[str] = []

    def start(name: str, _attributes: dict[str, str]) -> None:
        if not roots:
            roots.append(name)

    parser = safe_parser()
    parser.StartElementHandler = start
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, DocumentTypeError):
        roots = [""]
    if roots and roots[0].split(" ")[:2] == [XHTML, "div"]:
        return text.strip()
    if roots == ["div"]:
        return _DIV.sub(f'<div xmlns="{XHTML}"', text.strip(), count=1)
    return f'<div xmlns="{XHTML}">{escaped(div)}</div>'


class DocumentTypeError(Exception):
    """An XML document declares a document type, which could define entities."""


def safe_parser() -> expat.XMLParserType:
    """Return a parser of UTF-8 that resolves namespaces and raises DocumentTypeError for a document type.

    Without a document type there are no entities of one's own, neither nested nor external. Names are
    "namespace local", or "namespace local prefix" where a prefix was written.
    """
    parser = expat.ParserCreate("utf-8", " ")
    parser.namespace_prefixes = True
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_document_type
    return parser


def _refuse_document_type(*_declared: object) -> None:
    raise DocumentTypeError


def _number(found: re.Match[bytes]) -> bytes:
    name = found[1]
    if name is None:
        return found[0]
    codepoint = None if name.decode() in _PREDEFINED else name2codepoint.get(name.decode())
    return found[0] if codepoint is None else b"&#%d;" % codepoint
