"""The FHIRPath of search parameters, and how it is refused where it is not understood."""

import pytest

from fhir_server.index.expression import (
    At,
    Child,
    ExpressionError,
    IsTrue,
    OfType,
    WhereEquals,
    WhereTarget,
    parse,
)


@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        ("Patient.name.family", [(Child("name"), Child("family"))]),
        ("name | alias", [(Child("name"),), (Child("alias"),)]),
        ("Resource.meta.tag", [(Child("meta"), Child("tag"))]),
        ("(Patient.value.ofType(Quantity))", [(Child("value"), OfType("Quantity"))]),
        ("(Patient.value as Quantity).unit", [(Child("value"), OfType("Quantity"), Child("unit"))]),
        ("Patient.a.as(dateTime)", [(Child("a"), OfType("dateTime"))]),
        ("Patient.telecom.where(system='phone')", [(Child("telecom"), WhereEquals("system", "phone"))]),
        ("Patient.a.where(resolve() is Patient)", [(Child("a"), WhereTarget("Patient"))]),
        ("Patient.entry[0].resource", [(Child("entry"), At(0), Child("resource"))]),
        (
            "Patient.extension('http://x').value",
            [(Child("extension"), WhereEquals("url", "http://x"), Child("value"))],
        ),
        ("(Patient.a | Patient.b).c", [(Child("a"), Child("c")), (Child("b"), Child("c"))]),
        ("Patient.deceased.exists() and Patient.deceased != false", [(Child("deceased"), IsTrue())]),
        ("Patient", [()]),
    ],
)
def test_expression_is_read_into_paths(expression: str, paths: list[object]) -> None:
    assert parse(expression, "Patient") == paths


@pytest.mark.parametrize(
    "expression",
    [
        "Patient.name.first()",
        "Patient.name.where(use = 'a' and b = 'c')",
        "Patient.name.where(use > 'a')",
        "Patient.a.where(resolve() != Patient)",
        "Patient.a +",
        "Patient.",
        "(Patient.a",
        "Patient.a.where(exists())",
        "%resource.a",
        "",
    ],
)
def test_expression_beyond_the_subset_is_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        parse(expression, "Patient")
