"""`phonetic`: names that are heard alike, in ideographs and in letters."""

import pytest

from fhir_server.index.indexer import Indexer
from fhir_server.index.phonetics import soundex
from fhir_server.search.service import SearchService
from hie.core.db.database import Database
from hie.core.errors import MalformedSearchError
from hie.core.fhir.json import JsonObject
from tests.fhir_server.search import stored


def person(name: str, *, family: str = "", given: str = "", text: str = "") -> JsonObject:
    written: JsonObject = {}
    if family:
        written["family"] = family
    if given:
        written["given"] = [given]
    if text:
        written["text"] = text
    return {"resourceType": "Patient", "id": name, "name": [written] if written else []}


PATIENTS = [
    person("parted", family="张", given="小明"),
    person("whole", text="章晓明"),
    person("spaced", text="张 晓 鸣"),
    person("pinyin", family="Zhang", given="Xiaoming"),
    person("li", family="李", given="明"),
    person("mueller", family="Müller", given="Anna"),
    person("miller", family="Miller", given="Hanna"),
    person("muler", text="Anna Muhler"),
    person("cyrillic", family="Иванов"),
    person("nameless"),
]


@pytest.fixture(scope="module")
def people(module_database: Database, indexer: Indexer) -> Database:
    with module_database.transaction() as transaction:
        stored.put(transaction.connection, indexer, PATIENTS)
        hospital: JsonObject = {"resourceType": "Organization", "id": "h", "name": "Schmidt Hospital"}
        stored.put(transaction.connection, indexer, [hospital])
    return module_database


def found(database: Database, service: SearchService, kind: str, name: str, value: str) -> set[str]:
    with database.transaction() as transaction:
        page = service.search(transaction, kind, [(name, value)])
    return {entry.resource.id for entry in page.entries}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("张小明", {"parted", "whole", "spaced"}),
        ("章小鸣", {"parted", "whole", "spaced"}),
        ("zhangxiaoming", {"parted", "whole", "spaced"}),
        ("Zhang", {"parted", "whole", "spaced", "pinyin"}),
        ("章", {"parted", "whole", "spaced", "pinyin"}),
        ("李", {"li"}),
        ("muller", {"mueller", "miller", "muler"}),
        ("Anna Muller", {"mueller", "muler"}),
        ("anna,李", {"mueller", "muler", "li"}),
        ("Meier", set()),
        ("иванов", {"cyrillic"}),
    ],
)
def test_names_that_sound_alike_are_found(
    people: Database, service: SearchService, value: str, expected: set[str]
) -> None:
    assert found(people, service, "Patient", "phonetic", value) == expected


def test_other_types_and_modifiers(people: Database, service: SearchService) -> None:
    assert found(people, service, "Organization", "phonetic", "smith") == {"h"}
    assert found(people, service, "Patient", "phonetic:missing", "true") == {"nameless"}
    assert found(people, service, "Patient", "_filter", "phonetic eq muller and given sw h") == {"miller"}
    for name, value in (("phonetic:exact", "x"), ("phonetic", " - "), ("_sort", "phonetic")):
        with pytest.raises(MalformedSearchError):
            found(people, service, "Patient", name, value)


@pytest.mark.parametrize(
    ("word", "code"),
    # The examples of the National Archives, https://www.archives.gov/research/census/soundex
    [
        ("washington", "W252"),
        ("lee", "L000"),
        ("gutierrez", "G362"),
        ("pfister", "P236"),
        ("jackson", "J250"),
        ("tymczak", "T522"),
        ("vandeusen", "V532"),
        ("ashcraft", "A261"),
        # Those of its older guide.
        ("kuhne", "K500"),
        ("ebelson", "E142"),
        ("kelly", "K400"),
        ("buerck", "B620"),
        ("lloyd", "L300"),
        ("schaefer", "S160"),
    ],
)
def test_words_are_coded_as_the_national_archives_do(word: str, code: str) -> None:
    assert soundex(word) == code
