"""Every error has codes that exist, and becomes a whole OperationOutcome."""

import sys

from fhir.resources.R4B.operationoutcome import OperationOutcome

from hie.core.errors import ExchangeError, InvalidResourceError, Issue, operation_outcome

# http://hl7.org/fhir/issue-type 4.0.1, https://hl7.org/fhir/R4/valueset-issue-type.html
ISSUE_TYPES = frozenset(
    """invalid structure required value invariant security login unknown expired forbidden suppressed
    processing not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension
    too-costly business-rule conflict transient lock-error no-store exception timeout incomplete throttled
    informational""".split()  # noqa: SIM905 - thirty quoted words say less
)
# HL7 v2 table 0357, https://terminology.hl7.org/CodeSystem-v2-0357.html
CONDITIONS = {"0", *(str(code) for code in (100, 101, 102, 103, 104, 198, 199, *range(200, 208)))}


def _classes(root: type[ExchangeError] = ExchangeError) -> list[type[ExchangeError]]:
    return [root, *(found for child in root.__subclasses__() for found in _classes(child))]


def test_every_error_has_codes_of_its_value_sets_and_a_sentence() -> None:
    for error in _classes():
        assert error.code in ISSUE_TYPES, error
        assert error.condition in CONDITIONS, error
        assert error.acknowledgment in {"AE", "AR"}, error
        assert 400 <= error.status < 600, error
        assert (error.__doc__ or "").endswith("."), error


def test_every_error_stands_in_the_tree_of_the_module() -> None:
    for error in _classes():
        assert error.__name__ in (sys.modules[error.__module__].__doc__ or ""), error


def test_outcome_names_severity_code_sentence_and_expression() -> None:
    error = InvalidResourceError(
        [
            Issue("error", "required", "Observation.status is missing", "Observation.status"),
            Issue("error", "value", "`x` is not a date", "Observation.issued"),
        ]
    )
    outcome = operation_outcome(error)
    assert outcome == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "required",
                "diagnostics": "Observation.status is missing",
                "expression": ["Observation.status"],
            },
            {
                "severity": "error",
                "code": "value",
                "diagnostics": "`x` is not a date",
                "expression": ["Observation.issued"],
            },
        ],
    }
    OperationOutcome.model_validate(outcome)
