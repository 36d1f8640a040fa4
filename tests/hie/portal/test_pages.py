"""What all pages share: languages, roles, headers, static files, error pages."""

import re

import pytest

from hie import wiring
from hie.portal.static_files import static_files
from hie.portal.switches import own_path
from tests.hie.portal.browser import Browser
from tests.hie.portal.records import resource_set, store

PATHS = [
    "/",
    "/patients?q=张三丰",
    "/patients?q=C-2002",
    "/patients?q=nobody1",
    "/gateway",
    "/jobs",
    "/jobs/none",
    "/subscriptions",
    "/subscriptions/none",
    "/warning",
    "/nothing",
]


def switch_to_english(client: Browser) -> None:
    client.post("/language", data={"language": "en"})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.usefixtures("filled")
def test_every_page_forbids_what_is_inline_and_foreign(client: Browser, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", answer.text) is None


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.usefixtures("filled")
def test_no_page_refers_to_another_host(client: Browser, path: str) -> None:
    text = client.get(path).text
    addresses = re.findall(r'(?:href|src|action|srcset|poster)="([^"]*)"', text)
    assert addresses
    assert [each for each in addresses if not each.startswith(("/", "#")) or each.startswith("//")] == []


def test_style_and_pictures_refer_to_nothing() -> None:
    for file in static_files().values():
        text = file.content.decode()
        assert re.search(r"@import|url\(|(?<!xmlns=\")https?:", text) is None


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.usefixtures("filled")
def test_every_page_is_whole_in_english(client: Browser, path: str) -> None:
    switch_to_english(client)
    answer = client.get(path)
    assert '<html lang="en">' in answer.text
    assert answer.headers["content-language"] == "en"
    assert chinese_in(answer.text) == []


@pytest.mark.usefixtures("filled")
def test_page_of_a_person_is_whole_in_english(client: Browser) -> None:
    switch_to_english(client)
    for path in re.findall(r'href="(/patients/[^"]+)"', client.get("/patients?q=张三").text):
        answer = client.get(path)
        assert "Critically high" in answer.text
        assert chinese_in(answer.text) == []


def chinese_in(text: str) -> list[str]:
    """Return what is Chinese on a page beside the hospitals' own words and the switch."""
    words = re.sub(r"<[^>]*>|中文", " ", text)
    for resource in resource_set().values():
        for own in sorted(re.findall(r"[\u3000-\u9fff]+", str(resource)), key=len, reverse=True):
            words = words.replace(own, "")
    return re.findall(r"[\u3000-\u9fff\uff00-\uffef]+", words)


def test_chinese_comes_first_and_the_switch_leads_back(client: Browser) -> None:
    answer = client.get("/patients?q=a%26b")
    assert '<html lang="zh-CN">' in answer.text
    back = re.search(r'name="back" value="([^"]*)"', answer.text)
    assert back is not None
    answer = client.post("/language", data={"language": "en", "back": back[1]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/patients?q=a%26b")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert '<html lang="en">' in client.get("/").text


@pytest.mark.parametrize(
    "address",
    [
        "//evil.example/",
        "https://evil.example",
        "/\\evil.example",
        "evil",
        "",
        "/a\nb",
        "\\\\evil",
        "/\t/evil.example",
    ],
)
def test_switch_leads_to_no_other_site(client: Browser, address: str) -> None:
    assert own_path(address) == "/"
    answer = client.post("/language", data={"language": "en", "back": address})
    assert answer.headers["location"] == "/"


def test_switch_is_refused_from_another_site(client: Browser) -> None:
    answer = client.post("/role", data={"role": "operator"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers
    assert client.post("/role", data={"role": "king"}).status_code == 400


@pytest.mark.parametrize(
    ("role", "home"), [("clinician", "/"), ("operator", "/gateway"), ("analyst", "/warning")]
)
def test_role_leads_to_its_pages(client: Browser, role: str, home: str) -> None:
    answer = client.post("/role", data={"role": role})
    assert (answer.status_code, answer.headers["location"]) == (303, home)
    text = client.get(home).text
    assert f'value="{role}" aria-pressed="true"' in text
    assert f'<a href="{home}" aria-current="page">' in text


def test_static_file_is_kept_by_its_hash_and_answered_unchanged(client: Browser) -> None:
    address = re.search(r'href="(/static/portal.css\?v=\w+)"', client.get("/").text)
    assert address is not None
    answer = client.get(address[1])
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    again = client.get(address[1], headers={"If-None-Match": f'"other", W/{answer.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/static/portal.css").headers["cache-control"] == "no-cache"
    assert client.get("/static/..%2Fpage.py").status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [
        ("/nothing", 404, "没有找到"),
        ("/patients/x", 404, "没有找到"),
        ("/broken", 500, "系统出错"),
        ("/role", 405, "请求有误"),
    ],
)
def test_browser_gets_an_error_page_and_a_program_its_outcome(
    client: Browser, path: str, status: int, title: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert f"<h1>{title}</h1>" in answer.text
    assert "ZeroDivision" not in answer.text
    answer = client.get(path, headers={"Accept": "application/json"})
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_api_answers_a_browser_with_its_outcome(client: Browser) -> None:
    answer = client.get("/fhir/Patient/x")
    assert answer.status_code == 500
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_allowed_methods_stay_on_the_error_page(client: Browser) -> None:
    assert client.get("/role").headers["allow"] == "POST"


def test_fault_of_a_query_is_a_page_without_its_reason(client: Browser, exchange: wiring.Exchange) -> None:
    with exchange.database.transaction() as transaction:
        transaction.connection.execute("ALTER TABLE resource RENAME TO resource_away")
    answer = client.get("/patients?q=x")
    assert answer.status_code == 500
    assert "系统出错" in answer.text
    assert "resource" not in answer.text


def test_switches_name_the_page_for_screen_readers(client: Browser) -> None:
    text = client.get("/").text
    assert '<a class="skip" href="#main">' in text
    assert '<main id="main"' in text
    assert re.search(r'<label for="q">[^<]+</label>', text)
    assert re.findall(r"<img(?![^>]*\balt=)[^>]*>", text) == []


def test_page_of_a_person_is_not_named_after_the_query(client: Browser, exchange: wiring.Exchange) -> None:
    ids = store(exchange)
    assert "<title>张三" in client.get(f"/patients/{ids['zhang-1']}").text
