"""The register of processing: its fields, versions, and files."""

import csv
import io
from dataclasses import asdict, replace
from uuid import uuid4

import pytest

from hie.core.access import Requester
from hie.core.errors import ConflictError, ForbiddenError, NotFoundError, ParameterValueError
from hie.core.fhir.json import loads
from hie.rights.exporting import Charset, as_csv, as_json
from hie.rights.processing import REQUIRED, Entry, Processing
from tests.hie.rights.city import CITIZEN, DESK, NOW, OFFICER, Town

SHARING = Processing(
    name="区域内诊疗共享",
    purposes="诊疗",
    lawful_basis="个人信息保护法第十三条第一款第一项",
    data_subjects="患者",
    data_categories="健康档案、电子病历",
    recipients="区域内医疗机构",
    retention="门诊15年、住院30年",
    security_measures="SM4、访问控制、审计",
    necessity="共享是诊疗所必需",
    impact="敏感信息，风险中等",
    safeguards="授权、脱敏、审计",
    assessed_on="2026-01-05",
    assessed_by="安全管理员",
)


def test_an_activity_is_added_changed_and_ended_and_every_version_stays(city: Town) -> None:
    register = city.exchange.rights.register
    with city.acting(OFFICER) as transaction:
        made = register.add(transaction, SHARING)
        assert (made.version, made.state) == (1, "active")
        changed = register.change(transaction, made.id, replace(SHARING, recipients="又一处"), version=1)
        assert changed.version == 2
        register.retire(transaction, made.id, version=2)
        found = register.versions(transaction, made.id)
    assert [(each.version, each.state, each.content.recipients) for each in found] == [
        (3, "retired", "又一处"),
        (2, "active", "又一处"),
        (1, "active", "区域内医疗机构"),
    ]
    with city.acting(CITIZEN) as transaction:
        assert made.id not in [each.id for each in register.active(transaction)]


def test_an_older_version_is_not_changed_and_what_ended_stays_ended(city: Town) -> None:
    register = city.exchange.rights.register
    with city.acting(OFFICER) as transaction:
        made = register.add(transaction, SHARING)
        register.change(transaction, made.id, SHARING, version=1)
        with pytest.raises(ConflictError, match="since version 1"):
            register.change(transaction, made.id, SHARING, version=1)
        register.retire(transaction, made.id, version=2)
        with pytest.raises(ConflictError, match="has ended"):
            register.change(transaction, made.id, SHARING, version=3)
        with pytest.raises(NotFoundError):
            register.retire(transaction, uuid4(), version=1)


@pytest.mark.parametrize("name", REQUIRED)
def test_an_activity_says_what_the_law_wants_said(city: Town, name: str) -> None:
    with city.acting(OFFICER) as transaction, pytest.raises(ParameterValueError, match=name):
        city.exchange.rights.register.add(transaction, replace(SHARING, **{name: " "}))


def test_a_date_that_is_none_is_refused(city: Town) -> None:
    with city.acting(OFFICER) as transaction, pytest.raises(ParameterValueError, match="assessed_on"):
        city.exchange.rights.register.add(transaction, replace(SHARING, assessed_on="yesterday"))


@pytest.mark.parametrize("who", [CITIZEN, DESK], ids=["citizen", "desk"])
def test_the_register_is_the_security_officers(city: Town, who: Requester) -> None:
    register = city.exchange.rights.register
    with city.acting(who) as transaction:
        with pytest.raises(ForbiddenError):
            register.add(transaction, SHARING)
        with pytest.raises(ForbiddenError):
            register.all(transaction)
        with pytest.raises(ForbiddenError):
            register.versions(transaction, uuid4())


@pytest.mark.parametrize(
    ("charset", "read"), [("utf-8", "utf-8-sig"), ("gb18030", "gb18030")], ids=["utf-8", "gb18030"]
)
def test_the_file_says_in_either_charset_what_the_register_says(charset: Charset, read: str) -> None:
    # U+20BB7, as in a name of a place, which GBK has not
    entry = Entry(uuid4(), 1, "active", replace(SHARING, recipients='𠮷医院,\n"引"'), "s-1", NOW)
    lines = list(csv.DictReader(io.StringIO(as_csv([entry], charset).decode(read), newline="")))
    assert lines == [{name: str(value) for name, value in entry.as_json.items()}]
    assert loads(as_json([entry], charset).decode(charset)) == [entry.as_json]


@pytest.mark.parametrize("formula", ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "\tx"])
def test_no_cell_is_a_formula(formula: str) -> None:
    entry = Entry(uuid4(), 1, "active", replace(SHARING, recipients=formula), "s-1", NOW)
    (line,) = csv.DictReader(io.StringIO(as_csv([entry], "utf-8").decode("utf-8-sig"), newline=""))
    assert line["recipients"] == f"'{formula}"


def test_fields_are_those_of_the_law() -> None:
    assert len(asdict(SHARING)) == 14
