"""Every error of the exchange, with what each becomes on the wire.

One class, one meaning. The table in each class says what the error is in FHIR
(`code`: https://hl7.org/fhir/R4/valueset-issue-type.html), in HTTP (`status`),
and in HL7 v2 (`acknowledgment`: MSA-1, table 0008; `condition`: ERR-3, table
0357, https://terminology.hl7.org/CodeSystem-v2-0357.html). Only this module
builds OperationOutcomes from errors. What is wrong with a text in a language that clients
write in (FHIRPath, GraphQL, a patch) is in `hie.core.language_errors`.

ExchangeError
├── RequestError                    the caller is at fault
│   ├── MalformedJSONError          the body is not JSON
│   ├── MalformedXMLError           the body is not XML of FHIR
│   ├── MalformedSearchError        a search parameter's value cannot be read
│   ├── UnknownSearchParameterError
│   ├── UnknownResourceTypeError
│   ├── UnsupportedMediaTypeError
│   ├── NotAcceptableError
│   ├── InvalidParametersError      values of an operation's Parameters are not valid; carries issues
│   ├── InvalidResourceError        carries the issues of validation
│   ├── InvalidReferenceError       a reference inside a Bundle resolves to nothing
│   ├── MissingParameterError       an operation is not given what it needs
│   ├── ParameterValueError         an operation is given a value that it does not take
│   ├── PayloadTooLargeError
│   ├── NestedTooDeeplyError
│   ├── UnknownOperationError       there is no such operation here
│   ├── UnknownParameterError       the operation has no such parameter
│   └── MethodNotAllowedError
├── ForbiddenError                  the requester may not do this
├── NotFoundError ── DeletedError
├── ConflictError
│   ├── VersionConflictError        If-Match is stale
│   └── MultipleMatchesError        a condition selects more than one resource
├── MessageError                    an HL7 v2 message cannot be taken
│   ├── MessageSyntaxError ── EncodingError
│   ├── RequiredFieldError
│   ├── DataTypeError
│   ├── NoMapError                  no map for this message type
│   ├── DuplicateControlIdError     same MSH-10, other content
│   ├── SenderDisabledError         an operator switched the sender off
│   └── SegmentSequenceError
├── ConfigurationError              a setting or a data file is wrong
├── DeliveryError                   a notification could not be handed over
├── TimedOutError                   the work takes longer than it may
├── UnavailableError                database or broker is away
│   ├── ConnectionLostError         the connection to the database broke
│   └── LockError                   the database ended the transaction to resolve a deadlock
└── InternalError                   a fault of ours
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Literal

# What a message may quote, and neither XML nor a string of FHIR can hold.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding about a resource or a request, as OperationOutcome.issue words it."""

    severity: Severity
    code: str
    message: str
    expression: str | None = None


class ExchangeError(Exception):
    """The exchange could not do what was asked."""

    code: ClassVar[str] = "processing"
    status: ClassVar[int] = HTTPStatus.INTERNAL_SERVER_ERROR
    acknowledgment: ClassVar[Literal["AE", "AR"]] = "AE"
    condition: ClassVar[str] = "207"

    def __init__(
        self, message: str | None = None, *, expression: str | None = None, location: str | None = None
    ) -> None:
        """Take the sentence, the FHIRPath `expression` and the v2 `location` ("PID-3.1") at fault."""
        self.message = message or (type(self).__doc__ or "").splitlines()[0]
        self.expression = expression
        self.location = location
        super().__init__(self.message)

    @property
    def issues(self) -> list[Issue]:
        """The findings behind the error; one by default."""
        return [Issue("error", self.code, self.message, self.expression)]


class RequestError(ExchangeError):
    """The request is not understood."""

    code = "invalid"
    status = HTTPStatus.BAD_REQUEST


class MalformedJSONError(RequestError):
    """The body is not JSON."""

    code = "structure"


class MalformedXMLError(RequestError):
    """The body is not XML of FHIR."""

    code = "structure"


class MalformedSearchError(RequestError):
    """A search parameter's value cannot be read."""

    code = "value"


class UnknownSearchParameterError(RequestError):
    """The search parameter is not defined for this resource type."""

    code = "not-supported"


class UnknownResourceTypeError(RequestError):
    """The resource type is not one of FHIR R4."""

    code = "not-supported"
    status = HTTPStatus.NOT_FOUND


class UnsupportedMediaTypeError(RequestError):
    """The content type is not one the server reads."""

    code = "not-supported"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class NotAcceptableError(RequestError):
    """The server cannot answer in the format that is asked for."""

    code = "not-supported"
    status = HTTPStatus.NOT_ACCEPTABLE


class InvalidResourceError(RequestError):
    """The resource is not valid FHIR R4."""

    code = "structure"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    condition = "102"

    def __init__(self, findings: list[Issue], message: str | None = None) -> None:
        """Take all findings of validation, at least one."""
        self.findings = findings
        first = findings[0]
        super().__init__(message or first.message, expression=first.expression)

    @property
    def issues(self) -> list[Issue]:
        """Every finding of validation."""
        return self.findings


class InvalidParametersError(InvalidResourceError):
    """The Parameters of the operation are not valid FHIR R4."""

    status = HTTPStatus.BAD_REQUEST


class InvalidReferenceError(RequestError):
    """A reference resolves to nothing."""

    code = "not-found"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class MissingParameterError(RequestError):
    """The operation is not given a parameter that it needs."""

    code = "required"


class ParameterValueError(RequestError):
    """The operation does not take this value."""

    code = "value"


class UnknownOperationError(RequestError):
    """There is no such operation here."""

    code = "not-supported"
    status = HTTPStatus.NOT_FOUND


class UnknownParameterError(RequestError):
    """The operation has no such parameter."""

    code = "not-supported"


class PayloadTooLargeError(RequestError):
    """The body is larger than the server takes."""

    code = "too-long"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    acknowledgment = "AR"


class NestedTooDeeplyError(RequestError):
    """The body is nested more deeply than the server takes."""

    code = "too-long"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    acknowledgment = "AR"


class MethodNotAllowedError(RequestError):
    """The method is not defined on this path."""

    code = "not-supported"
    status = HTTPStatus.METHOD_NOT_ALLOWED


class ForbiddenError(ExchangeError):
    """The requester may not do this."""

    code = "forbidden"
    status = HTTPStatus.FORBIDDEN
    acknowledgment = "AR"


class NotFoundError(ExchangeError):
    """The resource does not exist."""

    code = "not-found"
    status = HTTPStatus.NOT_FOUND
    condition = "204"


class DeletedError(NotFoundError):
    """The resource was deleted."""

    code = "deleted"
    status = HTTPStatus.GONE


class ConflictError(ExchangeError):
    """The request conflicts with what is stored."""

    code = "conflict"
    status = HTTPStatus.CONFLICT


class VersionConflictError(ConflictError):
    """If-Match names a version that is not the current one."""

    status = HTTPStatus.PRECONDITION_FAILED


class MultipleMatchesError(ConflictError):
    """The condition selects more than one resource."""

    code = "multiple-matches"
    status = HTTPStatus.PRECONDITION_FAILED
    condition = "204"


class MessageError(ExchangeError):
    """The HL7 v2 message cannot be taken."""

    code = "invalid"
    status = HTTPStatus.BAD_REQUEST


class MessageSyntaxError(MessageError):
    """The text is not an HL7 v2 message."""

    code = "structure"
    acknowledgment = "AR"
    condition = "100"


class EncodingError(MessageSyntaxError):
    """The bytes do not decode in the declared character set."""

    condition = "102"


class RequiredFieldError(MessageError):
    """A required field is empty."""

    code = "required"
    condition = "101"


class DataTypeError(MessageError):
    """A field's value is not of its data type."""

    code = "value"
    condition = "102"


class NoMapError(MessageError):
    """There is no map for this message type."""

    code = "not-supported"
    acknowledgment = "AR"
    condition = "200"


class DuplicateControlIdError(MessageError):
    """The message control id was used for other content."""

    code = "duplicate"
    condition = "205"


class SenderDisabledError(MessageError):
    """The sender is switched off."""

    code = "forbidden"
    status = HTTPStatus.FORBIDDEN
    acknowledgment = "AR"


class SegmentSequenceError(MessageError):
    """A segment that the message needs is missing."""

    code = "required"
    condition = "100"


class ConfigurationError(ExchangeError):
    """A setting or a data file is wrong."""

    code = "exception"


class TimedOutError(ExchangeError):
    """The work takes longer than the server allows."""

    code = "too-costly"
    status = HTTPStatus.GATEWAY_TIMEOUT


class DeliveryError(ExchangeError):
    """The endpoint of a subscription did not take what was sent."""

    code = "transient"
    status = HTTPStatus.BAD_GATEWAY


class UnavailableError(ExchangeError):
    """A part that the exchange needs does not answer."""

    code = "transient"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    acknowledgment = "AR"


class ConnectionLostError(UnavailableError):
    """The connection to the database broke."""


class LockError(UnavailableError):
    """Another transaction holds what this one needs; the same request may succeed later."""

    code = "lock-error"


class InternalError(ExchangeError):
    """The exchange met a fault of its own."""

    code = "exception"


def operation_outcome(error: ExchangeError) -> dict[str, Any]:
    """Return the OperationOutcome of `error`, one issue a finding."""
    return outcome(error.issues)


def outcome(issues: list[Issue]) -> dict[str, Any]:
    """Return an OperationOutcome of `issues`, in order."""
    entries: list[dict[str, Any]] = []
    for issue in issues:
        entry: dict[str, Any] = {
            "severity": issue.severity,
            "code": issue.code,
            "diagnostics": _UNWRITABLE.sub("\ufffd", issue.message),
        }
        if issue.expression:
            entry["expression"] = [_UNWRITABLE.sub("\ufffd", issue.expression)]
        entries.append(entry)
    return {"resourceType": "OperationOutcome", "issue": entries}
