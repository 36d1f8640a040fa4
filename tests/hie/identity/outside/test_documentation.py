"""The examples of docs/signing-in.md are what the programs read."""

import re
from pathlib import Path

from hie.identity.outside.configuration import read_providers
from hl7_gateway.certificates import Certificates
from hl7_gateway.conveyor import Certificate
from tests.conftest import ROOT


def test_examples_of_the_page_are_read(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "signing-in.md").read_text(encoding="utf-8")
    providers, senders = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "providers.yaml").write_text(providers, encoding="utf-8")
    (tmp_path / "senders.yaml").write_text(senders, encoding="utf-8")
    found = read_providers(tmp_path / "providers.yaml")
    assert [each.kind for each in found.values()] == ["oidc", "wechat", "oidc"]
    subject = "CN=his.h2.example,O=Second Hospital"
    Certificates(tmp_path / "senders.yaml").check(Certificate("00", subject), "LIS", "H2")
