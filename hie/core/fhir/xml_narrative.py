"""The narrative of a FHIR XML document, while it is read: markup to the text that JSON has.

https://hl7.org/fhir/R4/narrative.html#xhtml. The text is what the document holds between ``<div`` and
``</div>``, unless it is written with prefixes or relies on declarations around it: then the document
is read again and the markup written anew.
"""

import re
from collections.abc import Callable
from typing import Final
from xml.parsers import expat

from hie.core.errors import MalformedXMLError
from hie.core.fhir.xhtml import XHTML
from hie.core.fhir.xml_characters import escaped

_XML: Final = "http://www.w3.org/XML/1998/namespace "
_START_TAG: Final = re.compile(rb"<(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")
_DECLARES_XHTML: Final = re.compile(
    rb"<div(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*?\s+xmlns\s*=\s*[\"']http://www\.w3\.org/1999/xhtml[\"']"
)
# Elements of HTML that never have content; only these are written without an end tag
# (https://html.spec.whatwg.org/multipage/syntax.html#void-elements).
_VOID: Final = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "wbr"})


class PrefixError(Exception):
    """A narrative is written with names that its own text would not declare."""


class NarrativeReader:
    """Takes the parser's events from the start of one ``div`` to its end."""

    def __init__(
        self,
        parser: expat.XMLParserType,
        text: bytes,
        *,
        rewrites: bool,
        error: Callable[[str], MalformedXMLError],
    ) -> None:
        """Stand at the start of a div of `text`, which `parser` reads; `error` makes what is raised."""
        self._parser = parser
        self._text = text
        self._rewrites = rewrites
        self._error = error
        self._begin = parser.CurrentByteIndex
        self._depth = 0
        self._parts: list[str] = []
        if not rewrites and not _DECLARES_XHTML.match(text, self._begin):
            raise PrefixError

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the start of an element of XHTML; raises PrefixError unless the markup is written anew."""
        namespace, local, *prefix = name.split(" ") if " " in name else ("", name)
        if namespace != XHTML:
            raise self._error(f"holds `{local}` of namespace `{namespace}`; a narrative is XHTML")
        if prefix and not self._rewrites:
            raise PrefixError
        self._depth += 1
        written = [f"<{local}"]
        if self._depth == 1:
            written.append(f' xmlns="{XHTML}"')
        for attribute, value in attributes.items():
            plain = f"xml:{attribute.split(' ')[1]}" if attribute.startswith(_XML) else attribute
            if " " in plain:
                raise self._error(f"holds an attribute of namespace `{plain.partition(' ')[0]}`")
            written.append(f' {plain}="{escaped(value)}"')
        if self._rewrites:
            self._parts += [*written, ">"]

    def text(self, text: str) -> None:
        """Take text between elements."""
        if self._rewrites:
            self._parts.append(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))

    def end(self, name: str) -> str | None:
        """Take the end of an element; return the narrative if it was the last."""
        self._depth -= 1
        local = name.split(" ")[1]
        if self._rewrites and local in _VOID and self._parts[-1] == ">":
            self._parts[-1] = "/>"
        elif self._rewrites:
            self._parts.append(f"</{local}>")
        if self._depth:
            return None
        return "".join(self._parts) if self._rewrites else self._written()

    def _written(self) -> str:
        """Return the narrative that ends here as it stands in the document."""
        tag = _START_TAG.match(self._text, self._begin)
        if tag is not None and tag[0].endswith(b"/>"):
            return tag[0].decode()
        end = self._text.index(b">", self._parser.CurrentByteIndex) + 1
        return self._text[self._begin : end].decode()
