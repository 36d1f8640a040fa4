"""The resources of a conversion closed into one FHIR R4 `transaction` Bundle.

Each gets its business key, its `urn:uuid:` (name-based, so that the same message gives the same bytes) and
its conditional request. A resource that lacks a required element is left out, reported, and with it every
reference to it: no reference in the Bundle is dangling.

https://hl7.org/fhir/R4/http.html#transaction, https://hl7.org/fhir/R4/search.html#escaping
"""

from typing import Any, NamedTuple

from hie.core.fhir.json import JsonObject
from hie.core.ports import MERGE_EXTENSION
from hl7_gateway.convert.completion import Complete
from hl7_gateway.convert.keys import KeyFunction
from hl7_gateway.convert.maps import ResourceUse
from hl7_gateway.convert.mentions import merge
from hl7_gateway.convert.naming import Key, address, derived_address
from hl7_gateway.convert.report import Unmapped
from hl7_gateway.convert.required import REQUIRED, missing
from hl7_gateway.convert.run import Instance, Run

# R4 gives Provenance neither an identifier nor a search parameter for one: it is written under its own
# name-based id.
_WITHOUT_IDENTIFIER = frozenset({"Provenance"})


class Closing:
    """How each resource use is finished: its completions, its key and what it cannot be without."""

    __slots__ = ("complete", "demands", "has_own_id", "key", "kind", "write")

    def __init__(self, use: ResourceUse, complete: tuple[Complete, ...], key: KeyFunction) -> None:
        """Take the functions that `use` names."""
        kind = self.kind = use.type
        self.write = use.write
        self.complete = complete
        self.key = key
        # What has all of these lacks nothing; what has not may have another form of a choice.
        self.demands = frozenset(names[0] for names in REQUIRED[kind])
        self.has_own_id = kind in _WITHOUT_IDENTIFIER


class _Closed(NamedTuple):
    """The Bundle so far: entries, the resource of each by type and key, what was left out."""

    entries: list[JsonObject]
    seen: dict[tuple[str, Key], Instance]
    dropped: list[Instance]


def close(run: Run, closings: dict[int, Closing]) -> JsonObject:
    """Return the transaction Bundle of everything that `run` has made; `closings` by identity of the use."""
    closed = _Closed([], {}, [])
    last: list[tuple[Instance, Closing]] = []
    for instance in run.instances:
        if instance.named is not None:
            _close_mention(run, instance, closed)
            continue
        closing = closings[id(instance.use)]
        if closing.has_own_id:
            # Provenance speaks of the others, so it comes when they are closed.
            last.append((instance, closing))
        else:
            _close(run, instance, closing, closed)
    for instance, closing in last:
        _close(run, instance, closing, closed)
    entries = closed.entries
    if closed.dropped:
        entries = _without(run, closed.dropped, list(zip(closed.seen.values(), entries, strict=True)))
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _close(run: Run, instance: Instance, closing: Closing, closed: _Closed) -> None:
    resource, kind = instance.resource, closing.kind
    for complete in closing.complete:
        complete(instance, run)
    if not resource.keys() >= closing.demands:
        lacking = missing(resource)
        if lacking is not None:
            _drop(run, instance, f"{kind} without {lacking}", closed.dropped)
            return
    key = closing.key(instance, run)
    if key is None:
        _drop(run, instance, f"{kind} without a key", closed.dropped)
        return
    system, value = key
    instance.key_text = f"{system}|{value}"
    before = closed.seen.setdefault((kind, key), instance)
    if before is not instance:
        _same(run, before, instance)
        return
    url, condition = derived_address(system, value) if instance.is_derived else address(kind, key)
    instance.reference["reference"] = url
    if closing.has_own_id:
        uuid = resource["id"] = url.removeprefix("urn:uuid:")
        request: JsonObject = {"method": "PUT", "url": f"{kind}/{uuid}"}
    else:
        if "identifier" in resource:
            _identify(resource["identifier"], key)
        else:
            resource["identifier"] = [{"system": system, "value": value}]
        if closing.write == "create":
            request = {"method": "POST", "url": kind, "ifNoneExist": condition}
        elif closing.write == "merge":
            request = {"method": "PUT", "url": f"{kind}?{condition}", "extension": [_merge(instance)]}
        else:
            request = {"method": "PUT", "url": f"{kind}?{condition}"}
    closed.entries.append({"fullUrl": url, "resource": resource, "request": request})


def _close_mention(run: Run, instance: Instance, closed: _Closed) -> None:
    """Add what a field only mentions: its key, address and identifier are settled, and R4 demands nothing."""
    named, place = instance.named, instance.address
    assert named is not None  # noqa: S101 - a mention is made with both; tells the type checker
    assert place is not None  # noqa: S101
    before = closed.seen.setdefault(named, instance)
    if before is not instance:
        _same(run, before, instance)
        return
    url, condition = place
    request = {"method": "POST", "url": named[0], "ifNoneExist": condition}
    closed.entries.append({"fullUrl": url, "resource": instance.resource, "request": request})


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


def _merge(instance: Instance) -> JsonObject:
    """Return the extension by which the store leaves what the message does not say."""
    if not instance.cleared and not instance.weak:
        return {"url": MERGE_EXTENSION, "valueBoolean": True}
    parts = [{"url": "cleared", "valueString": path} for path in dict.fromkeys(instance.cleared)]
    parts += [{"url": "weak", "valueString": path} for path in instance.weak]
    return {"url": MERGE_EXTENSION, "extension": parts}


def _identify(identifiers: list[JsonObject], key: Key) -> None:
    system, value = key
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
    before.cleared = (*before.cleared, *again.cleared)
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
