from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hie.core.errors import ConfigurationError
from hie.core.ports import Coding, Translator
from terminology.translation import ConceptMaps

MAPS = ConceptMaps()


def test_concept_maps_are_a_translator() -> None:
    translator: Translator = MAPS
    assert translator.translate("AdministrativeSex", "F") == Coding(
        "http://hl7.org/fhir/administrative-gender", "female", "Female"
    )


@pytest.mark.parametrize(
    ("concept_map", "code", "system", "target"),
    [
        ("PatientClass[EncounterClass]", "I", "http://terminology.hl7.org/CodeSystem/v3-ActCode", "IMP"),
        ("ResultStatus[Non-Queries]", "F", "http://hl7.org/fhir/diagnostic-report-status", "final"),
        ("OrderStatus", "CM", "http://hl7.org/fhir/request-status", "completed"),
        (
            "InterpretationCodes",
            "<",
            "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
            "<",
        ),
        ("YesNoIndicator[AvailabilityStatus]", "Y", "http://hl7.org/fhir/specimen-status", "available"),
        ("HL70396", "LN", "urn:ietf:rfc:3986", "http://loinc.org"),
        # Two targets in the guide: the first holds.
        ("SegmentActionCode", "U", "http://hl7.org/fhir/http-verb", "PUT"),
    ],
)
def test_a_code_has_the_target_of_its_row(concept_map: str, code: str, system: str, target: str) -> None:
    coding = MAPS.translate(concept_map, code)
    assert coding is not None
    assert (coding.system, coding.code) == (system, target)


@pytest.mark.parametrize(
    ("concept_map", "code"),
    [
        ("AdministrativeSex", "X"),
        ("AdministrativeSex", "f"),
        ("AdministrativeSex", ""),
        ("NameType", "B"),
        ("ExtendedPriorityCodes", "TS5"),
        ("RepeatPattern", "QxH"),
        ("DietType", "1"),
    ],
)
def test_a_code_without_target_is_not_translated(concept_map: str, code: str) -> None:
    assert MAPS.translate(concept_map, code) is None


@pytest.mark.parametrize(
    ("code", "gender", "text"),
    [
        ("0", "unknown", "未知的性别"),
        ("1", "male", "男性"),
        ("2", "female", "女性"),
        ("9", "unknown", "未说明的性别"),
    ],
)
def test_a_digit_of_gb_t_2261_1_is_a_sex_of_its_own_code_table(code: str, gender: str, text: str) -> None:
    target = MAPS.translate("AdministrativeSex", code)
    assert target is not None
    assert target.code == gender
    assert MAPS.translate("AdministrativeSex.source", code) == Coding(
        "urn:oid:2.16.156.10011.2.3.3.4", code, text
    )


@pytest.mark.parametrize(
    ("flag", "code"),
    [
        ("↑", "H"),
        ("↓", "L"),
        ("↑↑", "HH"),
        ("↓↓", "LL"),
        ("Ｈ", "H"),
        ("Ｌ", "L"),
        ("ＨＨ", "HH"),
        ("ＬＬ", "LL"),
        ("h", "H"),
        ("l", "L"),
        ("hh", "HH"),
        ("ll", "LL"),
        ("高", "H"),
        ("低", "L"),
        ("偏高", "H"),
        ("偏低", "L"),
        ("*", "A"),
    ],
)
def test_the_arrows_of_a_laboratory_are_interpretations_and_no_codes_of_the_table(
    flag: str, code: str
) -> None:
    assert MAPS.translate("InterpretationCodes", flag) == MAPS.translate("InterpretationCodes", code)
    assert MAPS.translate("InterpretationCodes.source", flag) is None


def test_a_pattern_of_the_table_takes_its_number() -> None:
    assert MAPS.translate("RepeatPattern", "Q6H") == Coding(
        "http://terminology.hl7.org/CodeSystem/v2-0335", "Q6H", "every 6 hours"
    )


def test_the_source_of_a_map_is_the_v2_table_itself() -> None:
    assert MAPS.translate("NameType.source", "B") == Coding(
        "http://terminology.hl7.org/CodeSystem/v2-0200", "B", "Birth name"
    )
    assert MAPS.translate("NameType.source", "无") is None


def test_a_map_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no concept map `Nothing`"):
        MAPS.translate("Nothing", "F")


@pytest.mark.parametrize(
    "text", ["name: [", "name: x\n", "table: HL70001\nsystems: []\nrows:\n- [1, A, a, b, c, 3]\n"]
)
def test_a_wrong_map_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "Wrong.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="`Wrong`"):
        ConceptMaps(tmp_path).find("Wrong")


@given(st.sampled_from(MAPS.names()), st.text(max_size=20))
def test_any_code_has_one_answer_and_never_an_error(concept_map: str, code: str) -> None:
    assert MAPS.translate(concept_map, code) == MAPS.translate(concept_map, code)


@pytest.mark.parametrize("name", MAPS.names())
def test_every_map_names_source_version_licence_and_systems_that_are_uris(name: str) -> None:
    folder = Path(__file__).parents[2] / "terminology" / "concept_maps"
    text = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    assert text["name"] == name
    assert text["source"].startswith("https://")
    assert text["licence"] == "CC0-1.0"
    assert text["version"]
    assert all(system.startswith(("http://", "https://", "urn:")) for system in text["systems"])
    found = MAPS.find(name)
    assert all(coding.code for coding in found.targets.values())


def test_every_row_of_the_guide_that_has_a_target_translates(conformance_data: Path) -> None:
    """Read the guide's own tables, independently of the importer, row by row."""
    import csv

    folder = conformance_data / "hl7v2" / "HL7-v2-to-fhir" / "mappings" / "codesystems"
    rows = translated = 0
    for path in sorted(folder.glob("*.csv")):
        name = path.name.removesuffix(" - Sheet1.csv").partition("Concept Map_")[2].strip()
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
        header = [cell.strip() for cell in lines[1]]
        target_at = header.index("Code", 1)
        for line in lines[2:]:
            code, target = line[0].strip(), (line[target_at] if len(line) > target_at else "").strip()
            if not code or not target or "<integer>" in code:
                continue
            rows += 1
            coding = MAPS.translate(name, " ".join(code.split()).strip('"'))
            assert coding is not None, (name, code)
            translated += coding.code == " ".join(target.split())
    # SegmentActionCode U has two targets; the first holds.
    assert rows - translated == 1
    assert rows > 2000
