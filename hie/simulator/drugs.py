"""The drugs the synthetic doctors order, read from `drugs.yaml`; no licensed drug catalogue is used."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml


@dataclass(frozen=True, slots=True)
class Drug:
    """One product: `amount` and `unit` of a dose, `times` a frequency code, `days` of supply."""

    number: int
    name: str
    strength: str
    form: str
    amount: str
    unit: str
    route: str
    times: str
    days: int


@cache
def drugs() -> dict[str, Drug]:
    """Return every drug by its key."""
    document = yaml.safe_load(files("hie.simulator").joinpath("drugs.yaml").read_bytes())
    return {key: Drug(**row) for key, row in document["drugs"].items()}
