"""A clinician finds a person by name, card and ID number, and reads one timeline over all hospitals."""

import re

import pytest

from hie import wiring
from tests.hie.portal.browser import Browser
from tests.hie.portal.records import (
    LI_ID,
    RESIDENT_ID,
    SID,
    ZHANG_ID,
    Resource,
    many_observations,
    patient,
    store,
)

pytestmark = pytest.mark.usefixtures("filled")


def page(client: Browser, path: str, *, status: int = 200, **parameters: str) -> str:
    """Return the text of a page without its tags, blanks made single."""
    answer = client.get(path, params=parameters or None)
    assert answer.status_code == status
    main = answer.text[answer.text.index("<main") : answer.text.index("</main>")]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", main))


def person_path(client: Browser, query: str) -> str:
    """Return the path of the first person that a search lists."""
    found = re.search(r'href="(/patients/[^"?]+)"', client.get("/patients", params={"q": query}).text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("query", ["张三", "张三丰", "  张三峰 ", "C-1001", "c-1001", "P&7.7/0", ZHANG_ID])
def test_person_is_found_by_name_and_card_and_id_number(client: Browser, query: str) -> None:
    text = page(client, "/patients", q=query)
    assert "找到 1 人" in text
    assert "第一人民医院" in text
    assert "妇幼保健院" in text


def test_id_number_is_found_in_full_width_and_with_a_small_x(client: Browser) -> None:
    wide = ZHANG_ID.lower().translate({ord(sign): ord(sign) + 0xFEE0 for sign in "0123456789"})
    assert "找到 1 人" in page(client, "/patients", q=wide)


def test_id_number_is_masked_wherever_it_stands(client: Browser) -> None:
    for path in ("/patients?q=张三", person_path(client, "张三"), "/patients?q=C-2002"):
        text = client.get(path).text
        assert ZHANG_ID not in text
        assert LI_ID not in text
    assert f"999101********{ZHANG_ID[-4:]}" in client.get("/patients?q=张三").text


def test_card_of_several_persons_is_shown_as_a_conflict(client: Browser) -> None:
    text = page(client, "/patients", q="C-2002")
    assert "此号码对应多人" in text
    assert "找到 2 人" in text
    assert "此号码对应多人" not in page(client, "/patients", q="C-1001")


def test_same_name_is_no_conflict(client: Browser, filled: wiring.Exchange) -> None:
    store(filled, {"other": {"resourceType": "Patient", "name": [{"text": "张三丰"}]}})
    text = page(client, "/patients", q="张三丰")
    assert "找到 2 人" in text
    assert "此号码对应多人" not in text


def test_empty_result_helps(client: Browser) -> None:
    text = page(client, "/patients", q="赵")
    assert "没有找到“赵”" in text
    assert "卡号是否完整" in text


def test_empty_query_leads_to_the_search(client: Browser) -> None:
    answer = client.get("/patients", params={"q": "　 "})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize("query", [",", "\\", "a|b", "$", "%", "'; --", "_", "1,2", "|9999"])
def test_signs_of_the_search_syntax_are_text(client: Browser, query: str) -> None:
    assert "没有找到" in page(client, "/patients", q=query)


def test_null_character_is_a_bad_request(client: Browser) -> None:
    assert "请求有误" in page(client, "/patients", q="\x00", status=400)


def test_persons_are_listed_in_pinyin_order_and_more_are_named(
    client: Browser, filled: wiring.Exchange
) -> None:
    names = ["赵", "阿", "钱", "孙", "李"]
    store(filled, {name: {"resourceType": "Patient", "name": [{"text": f"欧阳{name}"}]} for name in names})
    found = re.findall(r">欧阳(.)</a>", client.get("/patients", params={"q": "欧阳"}).text)
    assert found == ["阿", "李", "钱", "孙", "赵"]
    assert "结果较多" not in page(client, "/patients", q="欧阳")
    crowd = {f"p{n}": {"resourceType": "Patient", "name": [{"text": f"欧阳{n}"}]} for n in range(60)}
    store(filled, crowd)
    assert "结果较多" in page(client, "/patients", q="欧阳")


def test_missing_values_read_as_a_dash(client: Browser) -> None:
    text = page(client, "/patients", q="包某")
    assert "性别未知" in text
    assert "18 天" in text
    assert "—" in text


def test_text_of_a_hospital_cannot_become_markup(client: Browser) -> None:
    path = person_path(client, LI_ID)
    for each in (f"/patients?q={LI_ID}", path):
        text = client.get(each).text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "<script" not in text


def test_timeline_joins_the_hospitals_of_one_person(client: Browser) -> None:
    text = page(client, person_path(client, "张三丰"))
    assert "46 岁" in text
    order = ["2026-03-10 星期二", "电解质", "2026-03-03", "阿司匹林肠溶片", "2026-03-02", "胸部CT", "血压"]
    order[-2:] = ["血压", "胸部CT"]
    order += ["2026-03-01", "住院", "2025-06-01", "哮喘 J45.9", "未注明日期", "体重"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_results_have_range_and_flag_in_words(client: Browser) -> None:
    text = page(client, person_path(client, "张三丰"))
    assert re.search(r"钾 6\.9 mmol/L ⇈ 危急偏高 3\.5–5\.3", text)
    assert re.search(r"钠 128 mmol/L ↓ 偏低 137-147", text)
    assert re.search(r"收缩压 128 mmHg .*舒张压 82 mmHg", text)
    assert "2 项异常提示" in text


def test_time_stands_in_the_zone_of_the_portal(client: Browser) -> None:
    assert "00:30 检查检验 电解质" in page(client, person_path(client, "张三丰"))


def test_nothing_is_shown_twice(client: Browser) -> None:
    text = page(client, person_path(client, "张三丰"))
    assert text.count("心绞痛 I20.9") == 1
    assert text.count("钾 6.9") == 1
    assert "血常规申请" not in text
    assert text.count("阿司匹林肠溶片") == 1
    assert "09:15 用药 阿司匹林肠溶片" in text
    assert "100 mg" in text


def test_encounter_shows_diagnosis_place_and_end(client: Browser) -> None:
    text = page(client, person_path(client, "张三丰"))
    assert re.search(
        r"住院 第一人民医院 已结束 .*至 2026-03-05 10:00 诊断 心绞痛 I20\.9 地点 心内科 医生 王大夫", text
    )


def test_allergy_and_disagreement_stand_on_top(client: Browser) -> None:
    text = page(client, person_path(client, "张三丰"))
    assert text.index("青霉素") < text.index("就诊时间轴")
    assert re.search(r"各机构登记不一致 姓名： ?张三峰 \(妇幼保健院\) ?; 张三丰 \(第一人民医院\)", text)
    assert "不等于无过敏史" in page(client, person_path(client, "包某"))


@pytest.mark.parametrize(
    ("kind", "there", "missing"),
    [
        ("encounter", ["住院", "心绞痛 I20.9"], ["胸部CT", "电解质", "哮喘"]),
        ("condition", ["心绞痛 I20.9", "哮喘 J45.9"], ["住院", "电解质"]),
        ("result", ["电解质", "血压", "体重"], ["胸部CT", "哮喘"]),
        ("order", ["胸部CT"], ["血常规申请", "阿司匹林", "电解质"]),
        ("medication", ["阿司匹林肠溶片"], ["胸部CT"]),
        ("procedure", ["没有符合条件的记录"], ["住院"]),
    ],
)
def test_filter_by_kind(client: Browser, kind: str, there: list[str], missing: list[str]) -> None:
    text = page(client, person_path(client, "张三丰"), kind=kind)
    timeline = text[text.index("就诊时间轴") :]
    for words in there:
        assert words in timeline
    for words in missing:
        assert words not in timeline


def test_filter_by_hospital_keeps_the_allergies_of_all(client: Browser) -> None:
    path = person_path(client, "张三丰")
    link = re.search(r'href="([^"]+hospital=[^"&]+)">第一人民医院', client.get(path).text)
    assert link is not None
    text = page(client, link[1])
    assert "胸部CT" in text
    assert "电解质" not in text
    assert "青霉素" in text


def test_unknown_hospital_finds_nothing(client: Browser) -> None:
    assert "没有符合条件的记录" in page(client, person_path(client, "张三丰"), hospital="nobody")


def test_older_entries_follow_without_gap_or_repetition(client: Browser, filled: wiring.Exchange) -> None:
    path = person_path(client, "包某")
    subject = "Patient/" + path.rpartition("/")[2]
    # More on one day than one search reads, and more days than one page holds.
    crowded = many_observations(subject, days=1, each=620)
    spread = many_observations(subject, days=40, each=4)
    store(filled, spread | crowded)
    seen: list[str] = []
    pages = 0
    while True:
        text = client.get(path).text
        found = re.findall(r"<h4>(O\d+\.\d+)</h4>", text)
        assert found
        seen += found
        pages += 1
        older = re.search(r'class="button" href="([^"]+before=[0-9-]+)"', text)
        if older is None:
            break
        path = older[1].replace("&amp;", "&")
    assert pages >= 5
    assert len(seen) == len(set(seen)) == 40 * 4 + 620 - 4
    days = [int(name[1:].partition(".")[0]) for name in seen]
    assert days == sorted(days, reverse=True)


def test_open_encounters_do_not_hide_what_began_before(client: Browser, filled: wiring.Exchange) -> None:
    path = person_path(client, "包某")
    subject = {"reference": "Patient/" + path.rpartition("/")[2]}
    visits = {
        f"v{number}": {
            "resourceType": "Encounter",
            "status": "in-progress",
            "class": {"code": "AMB"},
            "subject": subject,
            "period": {"start": f"2024-{number % 12 + 1:02}-{number // 12 + 1:02}"}
            | ({"end": "2024-12-31"} if number % 3 == 0 else {}),
        }
        for number in range(240)
    }
    store(filled, visits)
    seen = 0
    while True:
        text = client.get(path).text
        seen += text.count("<h4>门诊</h4>")
        older = re.search(r'class="button" href="([^"]+before=[0-9-]+)"', text)
        if older is None:
            break
        path = older[1]
    assert seen == 240


def test_persons_seen_last_are_offered_again(client: Browser) -> None:
    assert "最近查看" not in client.get("/").text
    page(client, person_path(client, "张三丰"))
    page(client, person_path(client, "包某"))
    text = page(client, "/")
    assert text.index("包某") < text.index("张三")
    client.cookies.set("recent", "~~nobody~../../x")
    assert "最近查看" not in client.get("/").text


def test_unknown_person_is_a_page_of_its_own(client: Browser) -> None:
    assert "没有找到" in page(client, "/patients/nobody", status=404)


@pytest.mark.parametrize("parameters", [{"kind": "x"}, {"before": "yesterday"}, {"before": "2026-02-30"}])
def test_wrong_parameters_are_a_page_of_their_own(client: Browser, parameters: dict[str, str]) -> None:
    assert "请求有误" in page(client, person_path(client, "张三丰"), status=400, **parameters)


def test_link_leads_to_the_resource(client: Browser, filled: wiring.Exchange) -> None:
    text = client.get(person_path(client, "张三丰")).text
    references = re.findall(r'href="/fhir/(\w+)/([^"]+)"', text)
    assert {kind for kind, _ in references} >= {
        "Patient",
        "Encounter",
        "DiagnosticReport",
        "AllergyIntolerance",
    }
    with filled.database.transaction() as transaction:
        for kind, identity in references:
            assert filled.repository.read(transaction, kind, identity).body is not None


def patient_of_card(name: str, birth_date: str, resident_id: str = "") -> Resource:
    """Return a Patient of one hospital's card, as the gateway would update it."""
    numbers = [(RESIDENT_ID, "NNCHN", resident_id)] if resident_id else []
    resource = patient("card", "h1", name, (f"{SID}/H1/card", "PI", "K-9"), *numbers, birthDate=birth_date)
    said = {"name": bool(name), "birthDate": bool(birth_date)}
    return {element: value for element, value in resource.items() if said.get(element, True)}


def overwrite(exchange: wiring.Exchange, *versions: Resource) -> None:
    """Store a Patient of a card again and again, as messages under the same number do."""
    for version in versions:
        resource = {**version, "managingOrganization": {"display": "H1"}}
        entry = {
            "resource": resource,
            "request": {"method": "PUT", "url": f"Patient?identifier={SID}/H1/card|K-9"},
        }
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        with exchange.database.transaction() as transaction:
            (result,) = exchange.repository.transact(transaction, [bundle])
            assert result.error is None


def test_card_that_was_given_to_another_is_a_conflict(client: Browser, filled: wiring.Exchange) -> None:
    first = patient_of_card("甲某", "1960-01-01", LI_ID)
    overwrite(filled, first, patient_of_card("乙某", "1990-09-09", "99910219900909001X"), first)
    overwrite(filled, patient_of_card("丙某", "1970-07-07"))
    text = page(client, "/patients", q="K-9")
    assert "此号码对应多人" in text
    assert re.search(r"丙某.*曾登记给 甲某 性别未知 1960-01-01 999102\*{8}0027.*曾登记给 乙某", text)
    assert text.count("甲某") == 1
    text = page(client, person_path(client, "丙某"))
    assert "同一登记曾属于他人" in text
    assert "乙某 性别未知 1990-09-09" in text
    assert "登记于 2026-03-10 12:00" in text


def test_corrected_name_or_birth_date_is_no_other_person(client: Browser, filled: wiring.Exchange) -> None:
    overwrite(
        filled,
        patient_of_card("甲某", "1960-01-01"),
        patient_of_card("甲谋", "1960-01-01", LI_ID),
        patient_of_card("甲谋", "1961-01-01", LI_ID),
        patient_of_card("甲某某", "1961-02-01", LI_ID),
    )
    assert "此号码对应多人" not in page(client, "/patients", q="K-9")
    assert "曾属于他人" not in page(client, person_path(client, "K-9"))


def test_version_that_says_nothing_joins_no_strangers(client: Browser, filled: wiring.Exchange) -> None:
    overwrite(
        filled,
        patient_of_card("甲某", "1960-01-01", LI_ID),
        patient_of_card("", ""),
        patient_of_card("乙某", "1990-09-09", "99910219900909001X"),
    )
    text = page(client, "/patients", q="K-9")
    assert "此号码对应多人" in text
    assert text.count("曾登记给") == 1
    assert "曾登记给 甲某" in text


_ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-"


def test_allergy_names_all_who_say_it_and_leaves_out_what_is_refuted(
    client: Browser, filled: wiring.Exchange
) -> None:
    path = person_path(client, "张三丰")
    key = re.findall(r'href="/fhir/Patient/([^"]+)"', client.get(path).text)

    def allergy(name: str, number: int, **status: str) -> Resource:
        return {
            "resourceType": "AllergyIntolerance",
            "patient": {"reference": f"Patient/{key[number]}"},
            "code": {"text": name},
            **{
                element: {"coding": [{"system": _ALLERGY + element.removesuffix("Status"), "code": code}]}
                for element, code in status.items()
            },
        }

    added = [allergy("青霉素", 0), allergy("青霉素", 1), allergy("花粉", 0, clinicalStatus="resolved")]
    added += [allergy("海鲜", 0, verificationStatus="refuted")]
    added += [allergy("乳胶", 0, verificationStatus="entered-in-error")]
    store(filled, {f"a{number}": each for number, each in enumerate(added)})
    text = page(client, path)
    assert re.search(r"过敏 青霉素 [^、]+、 ?[^、]+、 ?[^、]+ 花粉 既往", text)
    assert text.count("青霉素") == 1
    assert "海鲜" not in text
    assert "乳胶" not in text


def test_entry_without_a_date_of_its_own_stands_on_the_page_of_its_order(client: Browser) -> None:
    path = person_path(client, "张三丰")
    assert "阿司匹林肠溶片" in page(client, path, before="2026-03-04")
    older = page(client, path, before="2026-03-03")
    assert "阿司匹林肠溶片" not in older
    assert "胸部CT" in older
    assert "体重" in older
