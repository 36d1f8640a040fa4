"""EARS against R's surveillance 1.20.3 (the reference-r files), and its properties."""

import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.detectors import ears
from hie.core.errors import ConfigurationError, RequestError

DETECTORS = {detector.name: detector for detector in ears.DETECTORS}


def _cases(folder: Path) -> list[tuple[str, str, dict[str, float]]]:
    cases = []
    with (folder / "INDEX.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            control = dict(re.findall(r"(\w+)=(\S+)", row["control"]))
            if row["detector"].startswith("earsC"):
                parameters = {
                    "baseline": float(control["baseline"]),
                    "minimum_sigma": float(control["minSigma"]),
                    "alpha": float(control["alpha"]),
                }
                cases.append((row["detector"], f"ears-{control['method'].lower()}", parameters))
    return cases


def test_thresholds_and_alarms_are_those_of_r(conformance_data: Path) -> None:
    folder = conformance_data / "surveillance" / "reference-r"
    cases = _cases(folder)
    assert len(cases) == 108
    for file, name, parameters in cases:
        series = file.removesuffix(".csv").split("__", 1)[1]
        source = pd.read_csv(folder / f"input_{series}.csv").set_index("t")["observed"]
        expected = pd.read_csv(folder / file).set_index("t")
        result = DETECTORS[name].run(source, **parameters)
        assert list(result.index) == list(expected.index), file
        np.testing.assert_allclose(
            result["upperbound"], expected["upperbound"], rtol=1e-9, atol=1e-9, err_msg=file
        )
        alarms = result["alarm"].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
        np.testing.assert_array_equal(alarms, expected["alarm"].to_numpy(dtype=float), err_msg=file)


@given(st.lists(st.integers(0, 500), min_size=13, max_size=60), st.integers(1, 50))
def test_c1_of_shifted_counts_is_shifted(values: list[int], shift: int) -> None:
    counts = pd.Series(values, dtype=float)
    plain, moved = DETECTORS["ears-c1"].run(counts), DETECTORS["ears-c1"].run(counts + shift)
    np.testing.assert_allclose(plain["upperbound"] + shift, moved["upperbound"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_series_shorter_than_its_baseline_judges_nothing(name: str) -> None:
    assert DETECTORS[name].run(pd.Series([1.0, 2.0, 3.0])).empty


def test_gap_negative_count_and_unknown_parameter_are_named() -> None:
    with pytest.raises(RequestError, match="ears-c1: the series has a gap at 1"):
        DETECTORS["ears-c1"].run(pd.Series([1.0, None, 2.0]))
    with pytest.raises(RequestError, match="ears-c2: the series is negative at 2"):
        DETECTORS["ears-c2"].run(pd.Series([1.0, 0.0, -2.0]))
    with pytest.raises(ConfigurationError, match="ears-c3 has no parameter window"):
        DETECTORS["ears-c3"].run(pd.Series([1.0] * 20), window=3)
