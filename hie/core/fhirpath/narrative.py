"""What markup a narrative may have, for ``htmlChecks()`` (https://hl7.org/fhir/R4/narrative.html#rules).

Invariant txt-1 takes the formatting elements and attributes of chapters 7 to 11 (without section 4 of 9) and
15 of HTML 4.0, links, images and style attributes; txt-2 that there is something to read. The names are those
that HL7's reference validator takes (org.hl7.fhir.validation, XhtmlValidator).
"""

from typing import Final
from xml.parsers import expat

from hie.core.fhir.xhtml import XHTML, DocumentTypeError, safe_parser, with_numeric_entities

_ELEMENTS: Final = frozenset(
    """p br div h1 h2 h3 h4 h5 h6 a span b em i strong small big tt dfn q var abbr acronym cite blockquote
    hr address bdo kbd sub sup ul ol li dl dt dd pre table caption colgroup col thead tr tfoot tbody th td
    code samp img map area""".split()  # noqa: SIM905 # words
)
_ATTRIBUTES: Final = frozenset(
    """title style class id lang xml:lang dir accesskey tabindex span width align valign char charoff
    abbr axis headers scope rowspan colspan""".split()  # noqa: SIM905 # a list of words
)
_OF_ELEMENT: Final = frozenset(
    """a.href a.name a.charset a.type a.hreflang a.rel a.rev a.shape a.coords img.src img.border
    img.alt img.longdesc img.height img.width img.usemap img.ismap map.name area.shape area.coords area.href
    area.nohref area.alt blockquote.cite q.cite table.summary table.width table.border table.frame table.rules
    table.cellspacing table.cellpadding pre.space td.nowrap""".split()  # noqa: SIM905 # a list of words
)
_XML: Final = "http://www.w3.org/XML/1998/namespace "


def is_narrative(text: str) -> bool:
    """Return whether `text` is one XHTML div of permitted elements and attributes that shows something."""
    reader = _Reader()
    parser = safe_parser()
    parser.StartElementHandler = reader.start
    parser.CharacterDataHandler = reader.characters
    try:
        parser.Parse(with_numeric_entities(text.encode("utf-8", "surrogatepass")), True)
    except (expat.ExpatError, DocumentTypeError):
        return False
    return reader.is_permitted and reader.has_content and reader.root == "div"


class _Reader:
    def __init__(self) -> None:
        self.root = ""
        self.is_permitted = True
        self.has_content = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        # "namespace local prefix", less what was not written; JSON may leave the namespace out
        space, local = ["", *name.split(" ")][-2:] if " " not in name else name.split(" ")[:2]
        self.root = self.root or local
        names = [attribute.replace(_XML, "xml:").split(" ")[0] for attribute in attributes]
        self.is_permitted = (
            self.is_permitted
            and space in {XHTML, ""}
            and local in _ELEMENTS
            and all(name in _ATTRIBUTES or f"{local}.{name}" in _OF_ELEMENT for name in names)
        )
        self.has_content = self.has_content or local == "img"

    def characters(self, text: str) -> None:
        self.has_content = self.has_content or not text.isspace()
