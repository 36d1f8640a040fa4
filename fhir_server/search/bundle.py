"""The searchset Bundle, put together from the bytes of the stored resources.

https://hl7.org/fhir/R4/bundle.html#searchset. No resource is parsed here.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from hie.core.errors import Issue, outcome
from hie.core.fhir.json import dumps
from hie.core.ports import SearchEntry, SearchPage

# What stands in a URL as it is: `quote` takes ten times as long to find that out.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~:|,/$-]*", re.ASCII)


def searchset(
    page: SearchPage,
    resource_type: str,
    parameters: Sequence[tuple[str, str]],
    base_url: str,
    issues: Sequence[Issue] = (),
) -> bytes:
    """Return the Bundle of `page` as JSON.

    `resource_type` is "" for a search of several types; `parameters` are those that were applied,
    for the links; `base_url` is without a slash at its end; `issues` become an entry of mode "outcome".
    """
    parts = [b'{"resourceType":"Bundle","type":"searchset"']
    if page.total is not None:
        parts.append(b',"total":%d' % page.total)
    parts.append(
        b',"link":' + dumps(_links(f"{base_url}/{resource_type}".rstrip("/"), parameters, page.next_cursor))
    )
    base = base_url.encode()
    entries = [
        _contained(base, entry)
        if entry.container
        else b'{"fullUrl":"%s/%s/%s","resource":%s,"search":{"mode":"%s"}}'
        % (
            base,
            entry.resource.type.encode(),
            entry.resource.id.encode(),
            entry.resource.body or b"null",
            entry.mode.encode(),
        )
        for entry in page.entries
    ]
    if issues:
        entries.append(b'{"resource":%s,"search":{"mode":"outcome"}}' % dumps(outcome(list(issues))))
    if entries:
        parts.append(b',"entry":[' + b",".join(entries) + b"]")
    parts.append(b"}")
    return b"".join(parts)


def _contained(base: bytes, entry: SearchEntry) -> bytes:
    """Return the entry of a contained resource, whose full URL is that of its container and its own id.

    https://hl7.org/fhir/R4/search.html#contained
    """
    return b'{"fullUrl":"%s/%s#%s","resource":%s,"search":{"mode":"%s"}}' % (
        base,
        entry.container.encode(),
        quote(entry.resource.id).encode(),
        entry.resource.body or b"null",
        entry.mode.encode(),
    )


def _links(url: str, parameters: Sequence[tuple[str, str]], cursor: str | None) -> list[dict[str, str]]:
    pairs = [(name, f"{_quoted(name)}={_quoted(value)}") for name, value in parameters]
    links = [{"relation": "self", "url": _with_query(url, [pair for _, pair in pairs])}]
    if cursor is not None:
        kept = [pair for name, pair in pairs if name != "_cursor"]
        links.append({"relation": "next", "url": _with_query(url, [*kept, f"_cursor={_quoted(cursor)}"])})
    return links


def _with_query(url: str, pairs: Sequence[str]) -> str:
    return f"{url}?{'&'.join(pairs)}" if pairs else url


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe=":|,/.$")
