import pytest

from hie.core.errors import ConfigurationError, DataTypeError
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import datatypes, find
from tests.hl7_gateway.datatypes.conftest import BASE, Convert

LOCAL = f"{BASE}/CodeSystem/L"
V2 = "http://terminology.hl7.org/CodeSystem/v2-"
UCUM = "http://unitsofmeasure.org"


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("LN", "http://loinc.org"),
        ("SCT", "http://snomed.info/sct"),
        ("I10", "http://hl7.org/fhir/sid/icd-10"),
        ("UCUM", "http://unitsofmeasure.org"),
        ("HL70078", f"{V2}0078"),
        ("HL7 0136", f"{V2}0136"),
        ("L", LOCAL),
        ("", LOCAL),
        ("99LIS", f"{BASE}/CodeSystem/99LIS"),
        ("国家临床版2.0", f"{BASE}/CodeSystem/%E5%9B%BD%E5%AE%B6%E4%B8%B4%E5%BA%8A%E7%89%882.0"),
        ("2.16.156.10011.2.3.3.4", "urn:oid:2.16.156.10011.2.3.3.4"),
        ("http://hospital.example/codes", "http://hospital.example/codes"),
    ],
)
def test_a_coding_system_name_becomes_a_uri_or_a_code_system_of_the_sender(
    convert: Convert, name: str, uri: str
) -> None:
    assert convert("CWE_CodeableConcept", f"X^Text^{name}") == {
        "coding": [{"system": uri, "code": "X", "display": "Text"}]
    }


def test_the_oid_of_a_coding_system_stands_in_for_an_unknown_name(convert: Convert) -> None:
    concept = convert("CWE_CodeableConcept", "X^^^^^^^^^^^^^2.16.840.1.113883.6.1")
    assert concept == {"coding": [{"system": "urn:oid:2.16.840.1.113883.6.1", "code": "X"}]}


def test_all_three_codings_versions_and_the_original_text_stay(convert: Convert) -> None:
    text = "6690-2^WBC^LN^WBC^白细胞^99LIS^2.73^1^白细胞计数^767002^White blood cell count^SCT^2023"
    assert convert("CWE_CodeableConcept", text) == {
        "coding": [
            {"system": "http://loinc.org", "version": "2.73", "code": "6690-2", "display": "WBC"},
            {"system": f"{BASE}/CodeSystem/99LIS", "version": "1", "code": "WBC", "display": "白细胞"},
            {
                "system": "http://snomed.info/sct",
                "version": "2023",
                "code": "767002",
                "display": "White blood cell count",
            },
        ],
        "text": "白细胞计数",
    }


def test_a_text_without_code_is_the_text_of_the_concept(convert: Convert) -> None:
    assert convert("CE_CodeableConcept", "^头痛") == {"coding": [{"display": "头痛"}], "text": "头痛"}
    assert convert("CWE_CodeableConcept", "^头痛^^^^^^^头痛三天") == {
        "coding": [{"display": "头痛"}],
        "text": "头痛三天",
    }
    assert convert("CWE_CodeableConcept", "") is None


def test_a_mapped_code_comes_first_and_the_original_stays(convert: Convert) -> None:
    assert convert("CWE_CodeableConcept", "M^已婚", concept_map="MaritalStatus") == {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus",
                "code": "M",
                "display": "Married",
            },
            {"system": f"{V2}0002", "code": "M", "display": "已婚"},
        ]
    }


def test_a_code_that_is_its_own_target_stands_once(convert: Convert) -> None:
    assert convert("CWE_CodeableConcept", "BLD^^HL70487", concept_map="SpecimenType") == {
        "coding": [{"system": f"{V2}0487", "code": "BLD", "display": "Whole blood"}]
    }


@pytest.mark.parametrize("text", ["20^已婚", "20^已婚^99HIS", "20^已婚^L", "M^Mittel^99HIS"])
def test_a_code_of_the_sender_is_never_translated(convert: Convert, text: str) -> None:
    concept = convert("CWE_CodeableConcept", text, concept_map="MaritalStatus")
    assert isinstance(concept, dict)
    assert len(concept["coding"]) == 1
    assert concept["coding"][0]["system"].startswith(f"{BASE}/CodeSystem/")


def test_a_code_of_the_table_without_target_stays_in_its_table(convert: Convert) -> None:
    concept = convert("IS_CodeableConcept", "ABC", concept_map="Religion")
    assert isinstance(concept, dict)
    assert {coding["system"] for coding in concept["coding"]} >= {f"{V2}0006"}


def test_a_required_code_without_target_is_refused(convert: Convert) -> None:
    assert convert("IS_code", "F", concept_map="AdministrativeSex") == "female"
    assert convert("CWE_code", "F^Female^HL70001", concept_map="AdministrativeSex") == "female"
    for text in ("2^女性", "女", "女性"):
        assert convert("CWE_code", text, concept_map="AdministrativeSex") == "female"
    for name in ("IS_code", "CWE_code"):
        with pytest.raises(DataTypeError, match="AdministrativeSex"):
            convert(name, "雌", concept_map="AdministrativeSex")


def test_a_code_has_single_blanks(convert: Convert) -> None:
    assert convert("ID_code", "  A   B ") == "A B"


@pytest.mark.parametrize(("text", "expected"), [("Y", True), ("n", False), ("", None)])
def test_a_yes_no_indicator_is_a_boolean(
    convert: Convert,
    text: str,
    expected: bool | None,  # noqa: FBT001 - pytest
) -> None:
    assert convert("ID_boolean", text) is expected
    with pytest.raises(DataTypeError):
        convert("ID_boolean", "maybe")


@pytest.mark.parametrize(
    ("text", "expected", "dropped"),
    [
        ("a^b^c^^^^^^d", "d", [2, 1]),
        ("a^b", "b", [1]),
        ("a", "a", []),
        ("郑州^郑州", "郑州", []),
        ("", None, []),
    ],
)
def test_a_coded_string_is_the_original_text_the_text_or_the_code(
    convert: Convert, ctx: Context, text: str, expected: str | None, dropped: list[int]
) -> None:
    assert convert("CWE_string", text) == expected
    assert [place for place, _ in ctx.dropped] == dropped


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mmol/L", {"unit": "mmol/L"}),
        ("10*9/L^^UCUM", {"unit": "10*9/L", "system": UCUM, "code": "10*9/L"}),
        (
            "mmol/L^毫摩尔每升^UCUM",
            {"unit": "毫摩尔每升", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
        ),
        ("^毫升", {"unit": "毫升"}),
    ],
)
def test_units_have_system_and_code_when_the_sender_names_the_system(
    convert: Convert, text: str, expected: dict[str, object]
) -> None:
    assert convert("CWE_Quantity", text) == expected


@pytest.mark.parametrize(
    ("text", "unit", "code"),
    [
        ("10^9/L", "10^9/L", "10*9/L"),
        ("10^12/L", "10^12/L", "10*12/L"),
        ("10^6/L^^", "10^6/L", "10*6/L"),
        ("x10^9/L", "x10^9/L", "10*9/L"),
        ("×10^9/L", "×10^9/L", "10*9/L"),
        ("X 10^9 / L", "X 10^9 / L", "10*9/L"),
        ("10^3/μL", "10^3/μL", "10*3/uL"),
        ("10^6/ml", "10^6/ml", "10*6/ml"),
        ("10^9/L^^UCUM", "10^9/L", "10*9/L"),
        ("10^9/L^UCUM", "10^9/L", "10*9/L"),
        ("10^9/L^10^9/L", "10^9/L", "10*9/L"),
        ("10*9/L^10^9/L^UCUM", "10^9/L", "10*9/L"),
        ("10^9/L^10^9/L^UCUM", "10^9/L", "10*9/L"),
        ("10*9/L", "10*9/L", "10*9/L"),
    ],
)
def test_a_power_of_ten_that_its_sign_cut_in_two_is_one_unit_of_ucum(
    convert: Convert, text: str, unit: str, code: str
) -> None:
    assert convert("CWE_Quantity", text) == {"unit": unit, "system": UCUM, "code": code}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10^9个/L", {"unit": "10^9个/L"}),
        ("10^4CFU/mL", {"unit": "10^4CFU/mL"}),
        ("10^毫升", {"unit": "毫升", "system": LOCAL, "code": "10"}),
        ("10^24h", {"unit": "24h", "system": LOCAL, "code": "10"}),
        ("10^5 mg", {"unit": "5 mg", "system": LOCAL, "code": "10"}),
        (
            "10^9/L^99LIS",
            {"unit": "10^9/L", "system": f"{BASE}/CodeSystem/99LIS", "code": "10^9/L"},
        ),
        ("10^9/L^十的九次方每升", {"unit": "十的九次方每升", "system": UCUM, "code": "10*9/L"}),
        ("kg/m^2", {"unit": "kg/m^2", "system": UCUM, "code": "kg/m2"}),
        ("mL/min/1.73m^2", {"unit": "mL/min/1.73m^2", "system": UCUM, "code": "mL/min/{1.73_m2}"}),
        ("10^3/mm^3", {"unit": "10^3/mm^3", "system": UCUM, "code": "10*3/mm3"}),
        ("Atm^2", {"unit": "2", "system": LOCAL, "code": "Atm"}),
        ("^毫升^UCUM", {"unit": "毫升"}),
    ],
)
def test_only_an_exponent_and_what_it_is_divided_by_belong_to_the_ten_before(
    convert: Convert, text: str, expected: dict[str, object]
) -> None:
    assert convert("CWE_Quantity", text) == expected


def test_the_system_of_a_unit_without_code_is_dropped(convert: Convert, ctx: Context) -> None:
    convert("CWE_Quantity", "^毫升^UCUM")
    assert [place for place, _ in ctx.dropped] == [3]
    ctx.dropped.clear()
    convert("CQ_Quantity", "5^&毫升&UCUM")
    assert [place for place, _ in ctx.dropped] == [2]


def test_a_message_type_is_the_coding_of_its_event(convert: Convert) -> None:
    assert convert("MSG_Coding", "ORU^R01^ORU_R01") == {
        "system": f"{V2}0003",
        "code": "R01",
        "display": "ORU^R01^ORU_R01",
    }
    assert convert("PT_Coding", "P^T") == {"system": f"{V2}0103", "code": "P", "display": "Production"}
    mode = convert("PT_ModeCoding", "P^T")
    assert isinstance(mode, dict)
    assert (mode["system"], mode["code"]) == (f"{V2}0207", "T")


def test_a_job_is_a_concept_of_code_class_and_text(convert: Convert) -> None:
    assert convert("JCC_CodeableConcept", "11^FT^护士") == {
        "coding": [{"system": LOCAL, "code": "11"}, {"system": LOCAL, "code": "FT"}],
        "text": "护士",
    }


def test_a_function_takes_only_the_parameters_it_declares() -> None:
    with pytest.raises(ConfigurationError, match="takes no concept_map"):
        find("NM_decimal").bind(concept_map="MaritalStatus")
    with pytest.raises(ConfigurationError, match="takes no namespace"):
        find("CWE_CodeableConcept").bind(namespace="placer")
    with pytest.raises(ConfigurationError, match="no data type function `XX_Nothing`"):
        find("XX_Nothing")


def test_every_function_says_what_it_uses() -> None:
    assert len(datatypes()) > 100
    for name, datatype in datatypes().items():
        assert datatype.uses, name
        assert datatype.function.__doc__, name


def test_a_coding_of_the_target_drops_the_text_of_the_original(convert: Convert, ctx: Context) -> None:
    coding = convert("CWE_Coding", "I^住院", concept_map="PatientClass[EncounterClass]")
    assert isinstance(coding, dict)
    assert (coding["code"], coding["system"]) == ("IMP", "http://terminology.hl7.org/CodeSystem/v3-ActCode")
    assert [place for place, _ in ctx.dropped] == [2]
    ctx.dropped.clear()
    own = convert("CWE_Coding", "X^住院", concept_map="PatientClass[EncounterClass]")
    assert own == {"system": LOCAL, "code": "X", "display": "住院"}
    assert ctx.dropped == []
