"""Microseconds to evaluate expressions of search parameters, invariants and views, and to compile them.

Own resources of the kinds that the gateway writes. The processor's time is counted, not the clock's: the
benchmark may share its cores.
"""

import time
from collections.abc import Callable
from statistics import median

from hie.core.fhir.json import JsonObject
from hie.core.fhirpath.expression import Environment, Expression, compiled
from tests.benchmarks.bench_validate import RESOURCES

ROUNDS = {"small": 300, "full": 3_000}
REPEATS = 7

EXPRESSIONS: tuple[tuple[str, str], ...] = (
    ("Patient", "Patient.name.given"),
    ("Patient", "Patient.birthDate"),
    ("Patient", "Patient.telecom.where(system='phone')"),
    ("Patient", "Patient.deceased.exists() and Patient.deceased != false"),
    (
        "Patient",
        "Patient.contact.all(name.exists() or telecom.exists() or address.exists() or organization.exists())",
    ),
    ("Patient", "name.where(use = 'official').first().family"),
    ("Patient", "birthDate.lowBoundary() <= @1990-01-01"),
    ("Patient", "descendants().count()"),
    ("Observation", "(Observation.value as Quantity)"),
    ("Observation", "Observation.subject.where(resolve() is Patient)"),
    ("Observation", "dataAbsentReason.empty() or value.empty()"),
    (
        "Observation",
        "value.empty() or component.code.where(coding.intersect(%resource.code.coding).exists()).empty()",
    ),
    ("Observation", "value.ofType(Quantity) > 10 'g/dL'"),
    ("Encounter", "Encounter.period.start <= @2024-03 and Encounter.status = 'finished'"),
    ("DiagnosticReport", "DiagnosticReport.result.reference.select(substring(12)).join(',')"),
)


def main(size: str) -> None:
    """Print microseconds of the processor for each expression, and to compile it: the best of runs."""
    by_type = {resource["resourceType"]: resource for resource in RESOURCES}
    taken: list[float] = []
    print(f"{'evaluate':>9} {'compile':>9}")
    for type_name, text in EXPRESSIONS:
        evaluating = _microseconds(_evaluate(compiled(text), by_type[type_name]), ROUNDS[size])
        compiling = _microseconds(lambda text=text: Expression(text), ROUNDS[size] // 10)  # type: ignore[misc] # bound
        taken.append(evaluating)
        print(f"{evaluating:9.2f} {compiling:9.1f}  {text}")
    print(f"{median(taken):9.2f} {'':9}  median")


def _evaluate(expression: Expression, resource: JsonObject) -> Callable[[], object]:
    environment = Environment()
    return lambda: expression.evaluate(resource, environment)


def _microseconds(work: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        began = time.process_time_ns()
        for _ in range(rounds):
            work()
        best = min(best, (time.process_time_ns() - began) / rounds / 1e3)
    return best
