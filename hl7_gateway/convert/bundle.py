"""The resources of a conversion closed into one FHIR R4 `transaction` Bundle.

Each gets its business key, its `urn:uuid:` (name-based, so that the same message gives the same bytes) and
its conditional request. A resource that lacks a required element is left out, reported, and with it every
reference to it: no reference in the Bundle is dangling.

https://hl7.org/fhir/R4/http.html#transaction, https://hl7.org/fhir/R4/search.html#escaping
"""

from typing import Any

from hie.core.fhir.json import JsonObject
from hie.core.ports import MERGE_EXTENSION
from hl7_gateway.convert.completion import Complete
from hl7_gateway.convert.keys import KeyFunction
from hl7_gateway.convert.mentions import merge
from hl7_gateway.convert.naming import Address, Key, address, derived_address
from hl7_gateway.convert.report import Unmapped
from hl7_gateway.convert.required import missing
from hl7_gateway.convert.run import Instance, Run

# R4 gives Provenance neither an identifier nor a search parameter for one: it is written under its own
# name-based id.
_WITHOUT_IDENTIFIER = frozenset({"Provenance"})


class Closing:
    """How each resource use is finished: its completions and its key, resolved once."""

    __slots__ = ("complete", "key")

    def __init__(self, complete: tuple[Complete, ...], key: KeyFunction) -> None:
        """Take the functions that the use names."""
        self.complete = complete
        self.key = key


def close(run: Run, closings: dict[int, Closing]) -> JsonObject:
    """Return the transaction Bundle of everything that `run` has made; `closings` by identity of the use."""
    entries: list[JsonObject] = []
    seen: dict[tuple[str, Key], Instance] = {}
    dropped: list[Instance] = []
    for instance in run.in_closing_order():
        use, resource = instance.use, instance.resource
        kind = use.type
        closing = closings.get(id(use))
        if closing is not None:
            for complete in closing.complete:
                complete(instance, run)
        lacking = missing(resource)
        if lacking is not None:
            _drop(run, instance, f"{kind} without {lacking}", dropped)
            continue
        key = instance.key if closing is None else closing.key(instance, run)
        if key is None:
            _drop(run, instance, f"{kind} without a key", dropped)
            continue
        instance.key = key
        named = kind, key
        before = seen.get(named)
        if before is not None:
            _same(run, before, instance)
            continue
        seen[named] = instance
        place = instance.address or (derived_address(key) if instance.is_derived else address(kind, key))
        url = place.full_url
        instance.reference["reference"] = url
        for alias in instance.aliases:
            alias["reference"] = url
        if closing is not None and kind not in _WITHOUT_IDENTIFIER:
            _identify(resource, key)
        entries.append({"fullUrl": url, "resource": resource, "request": _request(instance, place)})
    if dropped:
        entries = _without(run, dropped, list(zip(seen.values(), entries, strict=True)))
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _without(run: Run, dropped: list[Instance], pairs: list[tuple[Instance, JsonObject]]) -> list[JsonObject]:
    """Return the entries without references to what was dropped, and without what cannot be without it."""
    while dropped:
        gone = {id(each) for instance in dropped for each in (instance.reference, *instance.aliases)}
        dropped = []
        left = []
        for instance, entry in pairs:
            _prune(entry["resource"], gone)
            lacking = missing(entry["resource"])
            if lacking is None:
                left.append((instance, entry))
            else:
                _drop(run, instance, f"{instance.use.type} without {lacking}", dropped)
        pairs = left
    return [entry for _, entry in pairs]


def _request(instance: Instance, place: Address) -> JsonObject:
    use = instance.use
    kind, write = use.type, use.write
    url, condition = place
    if kind in _WITHOUT_IDENTIFIER:
        uuid = url.removeprefix("urn:uuid:")
        instance.resource["id"] = uuid
        return {"method": "PUT", "url": f"{kind}/{uuid}"}
    if write == "create":
        return {"method": "POST", "url": kind, "ifNoneExist": condition}
    if write == "merge":
        return {"method": "PUT", "url": f"{kind}?{condition}", "extension": [_merge(instance)]}
    return {"method": "PUT", "url": f"{kind}?{condition}"}


def _merge(instance: Instance) -> JsonObject:
    """Return the extension by which the store leaves what the message does not say."""
    if not instance.cleared and not instance.weak:
        return {"url": MERGE_EXTENSION, "valueBoolean": True}
    parts = [{"url": "cleared", "valueString": path} for path in dict.fromkeys(instance.cleared)]
    parts += [{"url": "weak", "valueString": path} for path in instance.weak]
    return {"url": MERGE_EXTENSION, "extension": parts}


def _identify(resource: JsonObject, key: Key) -> None:
    system, value = key
    identifiers = resource.get("identifier")
    if identifiers is None:
        resource["identifier"] = [{"system": system, "value": value}]
        return
    for identifier in identifiers:
        if identifier.get("value") == value and identifier.get("system") == system:
            return
    identifiers.append({"system": system, "value": value})


def _point(instance: Instance, url: str) -> None:
    instance.reference["reference"] = url
    for alias in instance.aliases:
        alias["reference"] = url


def _same(run: Run, before: Instance, again: Instance) -> None:
    """Two segments told of one resource: one entry, and all references go to it."""
    merge(run, before.resource, again.resource, again.segment)
    before.cleared.extend(again.cleared)
    _point(again, before.reference["reference"])


def _drop(run: Run, instance: Instance, reason: str, dropped: list[Instance]) -> None:
    segment = instance.segment
    run.report.unmapped.append(
        Unmapped(segment.name, len(segment.text), f"not built: {reason}", segment.index)
    )
    dropped.append(instance)


def _prune(node: Any, gone: set[int]) -> None:
    """Take the references in `gone` (identities) out of a resource, and what they leave empty."""
    if isinstance(node, dict):
        for name, value in list(node.items()):
            if id(value) in gone:
                del node[name]
            elif isinstance(value, dict | list):
                _prune(value, gone)
                if not value:
                    del node[name]
    elif isinstance(node, list):
        node[:] = [item for item in node if id(item) not in gone]
        for item in node:
            _prune(item, gone)
        node[:] = [item for item in node if item not in ({}, [])]
