"""Every statement that names a body stands in a module that opens or seals it; no other way leads out."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("fhir_server", "hl7_gateway", "booking", "analytics", "terminology", "hie")

# Modules whose statements name `body`, and what in them opens or seals it.
OPENING = {
    "fhir_server/audit/stored.py": "open_rows",
    "fhir_server/bulk/deleted.py": "open_rows",
    "fhir_server/bulk/ndjson.py": "open_rows",
    "fhir_server/full_text/ranges.py": "open_rows",
    "fhir_server/full_text/unindexed.py": "open_rows",
    "fhir_server/search/match.py": "open_rows",
    "fhir_server/search/reindex.py": "open_rows",
    "fhir_server/search/stored_look_up.py": "open_rows",
    "fhir_server/search/stored_parameters.py": "open_rows",
    "fhir_server/store/everything.py": "open_rows",
    "fhir_server/store/history.py": "open_stored",
    "fhir_server/store/labels.py": "open_rows",
    "fhir_server/store/last_n.py": "open_rows",
    "fhir_server/store/lookup.py": "open_rows",
    "fhir_server/store/marks.py": "open_body",
    "fhir_server/store/patients.py": "open_rows",
    "fhir_server/store/read.py": "open_body",
    "fhir_server/store/record.py": "open_rows",
    "fhir_server/store/resealing.py": "reseal",
    "fhir_server/subscriptions/changes.py": "open_rows",
    "fhir_server/subscriptions/known_topics.py": "open_rows",
}
# They move what `fhir_server.store.sealing` made, or ask by whose key it is sealed.
MOVING = {"fhir_server/store/erasure.py", "fhir_server/store/write.py"}
# The audit trail and the receipts of consents have a column of the same name.
OTHERS = ("hie/core/audit/", "hie/migrations/", "hie/rights/")

_STATEMENT = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|FROM|JOIN|WHERE)\b")
_TABLE = re.compile(r"\b(resource|resource_history|COLUMNS)\b|\br\.|\bh\.")
_BODY = re.compile(r"\bbody\b")


def texts(path: Path) -> list[str]:
    """Return the string literals of a module that are no docstrings, an f-string as one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            found.append(node.value)
    return found


def names_a_body(path: Path) -> bool:
    """Say whether a statement of the module names the column of bodies."""
    name = path.relative_to(ROOT).as_posix()
    if name.startswith(OTHERS) or not _BODY.search(path.read_text(encoding="utf-8")):
        return False
    return any(
        _BODY.search(text) and (_STATEMENT.search(text) or text.count("r.") > 1) and _TABLE.search(text)
        for text in texts(path)
    )


def test_statements_name_bodies_where_they_are_opened_only() -> None:
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    found = {path.relative_to(ROOT).as_posix() for path in paths if names_a_body(path)}
    assert found == {*OPENING, *MOVING}


@pytest.mark.parametrize("name", sorted(OPENING))
def test_module_opens_what_it_selects(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert OPENING[name] in called
