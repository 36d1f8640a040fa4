"""The entries of a transaction or batch Bundle, read and checked before anything is done.

https://hl7.org/fhir/R4/bundle.html#transaction. Whether a resource is valid is
the Validator's word; here is only what the Bundle's own elements must say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from fhir_server.store.identity import check_id, type_number
from fhir_server.transaction.criteria import Criteria, parse
from fhir_server.transaction.etag import ETags, parse_etags
from fhir_server.transaction.merge import Merge, read_merge
from fhir_server.transaction.patch import Patch, read_patch
from fhir_server.transaction.search_entry import is_search, search_url
from hie.core.errors import InvalidResourceError, Issue, MethodNotAllowedError, RequestError
from hie.core.fhir.json import Json, JsonObject

Method = Literal["DELETE", "POST", "PUT", "PATCH", "GET", "HEAD"]

# https://hl7.org/fhir/R4/http.html#trules
PROCESSING_ORDER: dict[Method, int] = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}

Check = Callable[[JsonObject], list[Issue]]


@dataclass(slots=True)
class Operation:
    """One interaction to do.

    `expression` is the FHIRPath of the entry in its Bundle, empty for a request
    of its own. `url` is what a GET or HEAD asks for, relative to the base, or the operation that a
    POST with `is_call` calls; its resource is then whatever the operation takes. `merge` says that a PUT
    keeps what it does not say; `patch` is what a PATCH does.
    """

    method: Method
    type: str = ""
    id: str | None = None
    criteria: Criteria | None = None
    resource: JsonObject | None = None
    if_match: ETags | None = None
    if_none_match: ETags | None = None
    if_modified_since: datetime | None = None
    full_url: str | None = None
    expression: str = ""
    url: str = ""
    merge: Merge | None = None
    patch: Patch | None = None
    is_call: bool = False

    @property
    def is_read(self) -> bool:
        """Say whether it changes nothing."""
        return self.method in ("GET", "HEAD")

    @property
    def is_write(self) -> bool:
        """Say whether it makes a version of a resource; what an operation does is its own affair."""
        return not self.is_read and not self.is_call

    def at(self, element: str) -> str | None:
        """Return the expression of `element` of the entry; None outside a Bundle."""
        return f"{self.expression}.{element}" if self.expression else None


def read_entries(bundle: Json, kinds: tuple[str, ...]) -> list[JsonObject]:
    """Return the entries of `bundle`, which must be a Bundle of one of `kinds`; raises RequestError."""
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise RequestError("The resource is not a Bundle", expression="resourceType")
    if bundle.get("type") not in kinds:
        raise RequestError(
            f"Bundle.type is {_named(bundle.get('type'))}, expected {' or '.join(kinds)}",
            expression="Bundle.type",
        )
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise RequestError("Bundle.entry is not an array", expression="Bundle.entry")
    if bundle["type"] in ("transaction", "batch"):
        _check_full_urls(entries)
    return entries


def read_operation(  # noqa: C901 - one a method
    entry: Json, position: int, check: Check, *, base_url: str = ""
) -> Operation:
    """Return what `entry` asks for, its resource checked; raises RequestError with the expression.

    A request.url that begins with `base_url`, the server's own, is taken as relative to it.
    """
    expression = f"Bundle.entry[{position}]"
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict):
        raise RequestError("The entry has no request", expression=f"{expression}.request")
    url = request.get("url")
    if not isinstance(url, str):
        raise RequestError("The request has no url", expression=f"{expression}.request.url")
    if base_url and (url == base_url or url.startswith((f"{base_url}/", f"{base_url}?"))):
        url = url[len(base_url) :]
    url = url.removeprefix("/")
    full_url = entry.get("fullUrl")
    if full_url is not None and not isinstance(full_url, str):
        raise RequestError("fullUrl is not a string", expression=f"{expression}.fullUrl")
    match request.get("method"):
        case "GET" | "HEAD" as method:
            return _read(method, full_url, expression, url, request)
        case "POST" if is_search(url):
            url = search_url(url, entry.get("resource"), expression=f"{expression}.resource")
            return Operation("GET", full_url=full_url, expression=expression, url=url)
        case "POST" if url.partition("?")[0].rpartition("/")[2].startswith("$"):
            return Operation(
                "POST",
                full_url=full_url,
                expression=expression,
                url=url,
                resource=entry.get("resource"),
                is_call=True,
            )
        case "POST" | "PUT" | "PATCH" | "DELETE" as method:
            operation = Operation(method, full_url=full_url, expression=expression)
        case method:
            raise MethodNotAllowedError(
                f"The method `{method}` is not supported in a Bundle",
                expression=f"{expression}.request.method",
            )
    _aim(operation, url)
    _read_preconditions(operation, request)
    if operation.method == "PUT":
        operation.merge = read_merge(request, expression=f"{expression}.request")
    if operation.method == "PATCH":
        operation.patch = read_patch(entry.get("resource"), expression=f"{expression}.resource")
    elif operation.method != "DELETE":
        _take_resource(operation, entry.get("resource"), check)
    return operation


def read_writes(bundle: Json, check: Check) -> list[Operation]:
    """Return the operations of a transaction Bundle, all of which write; raises RequestError."""
    operations = [
        read_operation(entry, position, check)
        for position, entry in enumerate(read_entries(bundle, ("transaction",)))
    ]
    for operation in operations:
        if not operation.is_write:
            raise MethodNotAllowedError(
                f"The {operation.method} of `{operation.url}` is answered over HTTP only",
                expression=operation.at("request.method"),
            )
    return operations


def checked(resource: Json, resource_type: str, check: Check, *, expression: str = "") -> JsonObject:
    """Return `resource` if it is a valid `resource_type`; raises RequestError or InvalidResourceError."""
    if not isinstance(resource, dict):
        raise RequestError(f"A resource of type {resource_type} is expected", expression=expression or None)
    given = resource.get("resourceType")
    if given != resource_type:
        raise RequestError(
            f"resourceType is {_named(given)}, but the request is for {resource_type}",
            expression=f"{expression}.resourceType" if expression else "resourceType",
        )
    findings = [issue for issue in check(resource) if issue.severity in ("fatal", "error")]
    if findings:
        raise InvalidResourceError([_relocate(issue, resource_type, expression) for issue in findings])
    return resource


def _read(method: Method, full_url: str | None, expression: str, url: str, request: JsonObject) -> Operation:
    operation = Operation(method, full_url=full_url, expression=expression, url=url)
    operation.if_none_match = _etags(operation, request, "ifNoneMatch")
    operation.if_modified_since = _instant(operation, request.get("ifModifiedSince"))
    return operation


def _instant(operation: Operation, given: Json) -> datetime | None:
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        at = operation.at("request.ifModifiedSince")
        raise RequestError(f"ifModifiedSince is {_named(given)}, which is no instant", expression=at)
    return found


def _aim(operation: Operation, url: str) -> None:
    path, _, query = url.partition("?")
    resource_type, *rest = path.split("/")
    at = operation.at("request.url")
    type_number(resource_type, expression=at)
    operation.type = resource_type
    if operation.method == "POST":
        if rest or query:
            raise RequestError(f"POST to `{url}` is not an interaction of a Bundle entry", expression=at)
    elif query:
        if rest:
            raise RequestError(f"`{path}` with criteria is not a conditional interaction", expression=at)
        operation.criteria = parse(resource_type, query, expression=at)
    elif len(rest) == 1:
        operation.id = check_id(rest[0], expression=at)
    else:
        raise RequestError(f"{operation.method} needs `{resource_type}/id` or criteria", expression=at)


def _read_preconditions(operation: Operation, request: JsonObject) -> None:
    if_none_exist = request.get("ifNoneExist")
    if if_none_exist is not None:
        at = operation.at("request.ifNoneExist")
        if operation.method != "POST" or not isinstance(if_none_exist, str):
            raise RequestError("ifNoneExist is a string and belongs to POST", expression=at)
        query = if_none_exist.rpartition("?")[2]
        operation.criteria = parse(operation.type, query, expression=at)
    operation.if_match = _etags(operation, request, "ifMatch")
    operation.if_none_match = _etags(operation, request, "ifNoneMatch")


def _etags(operation: Operation, request: JsonObject, name: str) -> ETags | None:
    given = request.get(name)
    if given is None:
        return None
    at = operation.at(f"request.{name}")
    if not isinstance(given, str):
        raise RequestError(f"{name} is not a string", expression=at)
    return parse_etags(given, expression=at)


def _take_resource(operation: Operation, resource: Json, check: Check) -> None:
    operation.resource = checked(
        resource, operation.type, check, expression=f"{operation.expression}.resource"
    )
    check_body_id(operation)


def check_body_id(operation: Operation) -> None:
    """Raise RequestError unless the body's id is the one that an update's URL names."""
    resource = operation.resource
    if operation.method != "PUT" or resource is None:
        return
    given = resource.get("id")
    at = operation.at("resource.id") or f"{operation.type}.id"
    if operation.id is None:
        if given is not None:
            check_id(given, expression=at)
    elif given != operation.id:
        raise RequestError(
            f"The resource's id is {_named(given)}, but the URL names `{operation.id}`", expression=at
        )


def _relocate(issue: Issue, resource_type: str, prefix: str) -> Issue:
    if not prefix:
        return issue
    inner = (issue.expression or resource_type).removeprefix(resource_type)
    return Issue(issue.severity, issue.code, issue.message, prefix + inner)


def _named(value: Json) -> str:
    return "missing" if value is None else f"`{value}`"


def _check_full_urls(entries: list[Json]) -> None:
    """Raise RequestError when two entries have one fullUrl (bdl-7, https://hl7.org/fhir/R4/bundle.html)."""
    seen: set[str] = set()
    for position, entry in enumerate(entries):
        url = entry.get("fullUrl") if isinstance(entry, dict) else None
        if isinstance(url, str):
            if url in seen:
                raise RequestError(
                    f"The fullUrl `{url}` stands in the Bundle twice",
                    expression=f"Bundle.entry[{position}].fullUrl",
                )
            seen.add(url)
