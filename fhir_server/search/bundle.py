"""The searchset Bundle, put together from the bytes of the stored resources.

https://hl7.org/fhir/R4/bundle.html#searchset. No resource is parsed here.
"""

from collections.abc import Sequence
from urllib.parse import quote

from hie.core.errors import Issue, outcome
from hie.core.fhir.json import dumps
from hie.core.ports import SearchPage


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
        b'{"fullUrl":"%s/%s/%s","resource":%s,"search":{"mode":"%s"}}'
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


def _links(url: str, parameters: Sequence[tuple[str, str]], cursor: str | None) -> list[dict[str, str]]:
    links = [{"relation": "self", "url": _with_query(url, parameters)}]
    if cursor is not None:
        kept = [(name, value) for name, value in parameters if name != "_cursor"]
        links.append({"relation": "next", "url": _with_query(url, [*kept, ("_cursor", cursor)])})
    return links


def _with_query(url: str, parameters: Sequence[tuple[str, str]]) -> str:
    pairs = "&".join(f"{quote(name, safe=':.')}={quote(value, safe=':|,/.$')}" for name, value in parameters)
    return f"{url}?{pairs}" if pairs else url
