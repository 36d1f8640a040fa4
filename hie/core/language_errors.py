"""What is wrong with a text in a language that clients write in: FHIRPath, GraphQL, a patch, a search.

Part of the tree of `hie.core.errors`, whose table says what the attributes mean.

RequestError
├── FhirPathError                   an expression cannot be evaluated on this resource
│   ├── FhirPathSyntaxError         the text is not FHIRPath, or names what does not exist
│   └── FhirPathLimitError          the evaluation costs more than the server allows
├── MalformedSearchError            (hie.core.errors)
│   └── UnrelatedTypeError          what `_has` names does not refer to the type that is asked about
├── GraphQLError                    a document cannot be executed
│   └── GraphQLLimitError           it asks for more than the server gives at once
└── PatchError                      an operation of a patch cannot be done
    ├── PatchSyntaxError            the body is not a patch
    └── PatchTestError              a `test` operation of a JSON Patch fails
"""

from http import HTTPStatus

from hie.core.errors import MalformedSearchError, RequestError


class FhirPathError(RequestError):
    """The FHIRPath expression cannot be evaluated on this resource."""

    code = "processing"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class FhirPathSyntaxError(FhirPathError):
    """The text is not a FHIRPath expression."""

    code = "invalid"
    status = HTTPStatus.BAD_REQUEST


class FhirPathLimitError(FhirPathError):
    """The evaluation of the FHIRPath expression costs more than the server allows."""

    code = "too-costly"


class GraphQLError(RequestError):
    """The GraphQL document cannot be executed."""

    def __init__(self, message: str | None = None, *, place: tuple[int, int] | None = None) -> None:
        """Take the sentence, and the line and column of the document that it is about."""
        super().__init__(message)
        self.place = place


class GraphQLLimitError(GraphQLError):
    """The GraphQL document asks for more than the server gives at once."""

    code = "too-costly"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class PatchError(RequestError):
    """An operation of the patch cannot be done on this resource."""

    code = "processing"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class PatchSyntaxError(PatchError):
    """The body is not a patch."""

    code = "invalid"
    status = HTTPStatus.BAD_REQUEST


class PatchTestError(PatchError):
    """A `test` operation of the patch fails."""


class UnrelatedTypeError(MalformedSearchError):
    """What `_has` names does not refer to the type that is asked about."""
