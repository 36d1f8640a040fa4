"""fhir-pyrate (https://github.com/UMEssen/FHIR-PYrate): searches to data frames; its argument is the URL."""

import datetime as dt
import json
import sys

import pandas as pd
import requests
from fhir_pyrate import Pirate

PATIENTS, OBSERVATIONS = 12, 5


def main(url: str) -> None:
    """Load records, then query them in the ways that the client offers."""
    entries = []
    for number in range(PATIENTS):
        patient = {
            "resourceType": "Patient",
            "id": f"pyrate-{number}",
            "name": [{"family": "Pyrate"}],
            "gender": "female" if number % 2 else "male",
        }
        entries.append({"resource": patient, "request": {"method": "PUT", "url": f"Patient/pyrate-{number}"}})
        for day in range(OBSERVATIONS):
            observation = {
                "resourceType": "Observation",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
                "subject": {"reference": f"Patient/pyrate-{number}"},
                "effectiveDateTime": f"2024-03-{day + 1:02}T08:00:00+08:00",
                "valueQuantity": {"value": 100 + day, "unit": "g/L"},
            }
            entries.append({"resource": observation, "request": {"method": "POST", "url": "Observation"}})
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    made = requests.post(
        url, data=json.dumps(bundle), headers={"Content-Type": "application/fhir+json"}, timeout=60
    )
    assert made.status_code == requests.codes.ok, made.text

    with Pirate(auth=None, base_url=url, num_processes=1) as pirate:
        assert pirate.get_bundle_total("Patient", {"family": "Pyrate", "_total": "accurate"}) == PATIENTS
        bundles = list(pirate.steal_bundles("Patient", {"family": "Pyrate", "_count": 5}))
        assert [len(each.entry) for each in bundles] == [5, 5, 2]
        frame = pirate.steal_bundles_to_dataframe(
            "Patient",
            {"family": "Pyrate", "_count": 5},
            fhir_paths=[("id", "Patient.id"), ("gender", "Patient.gender")],
        )
        assert sorted(frame.columns) == ["gender", "id"]
        assert len(frame) == PATIENTS
        observations = pirate.trade_rows_for_dataframe(
            frame,
            "Observation",
            df_constraints={"subject": "id"},
            request_params={"_count": 2, "_sort": "date"},
            fhir_paths=[("value", "Observation.valueQuantity.value"), ("on", "effectiveDateTime")],
            with_ref=True,
        )
        assert len(observations) == PATIENTS * OBSERVATIONS
        assert set(observations["value"]) == {100, 101, 102, 103, 104}
    with Pirate(auth=None, base_url=url, num_processes=2) as pirate:
        spread = pirate.sail_through_search_space_to_dataframe(
            "Observation",
            time_attribute_name="date",
            date_init=dt.datetime(2024, 3, 1, tzinfo=dt.UTC),
            date_end=dt.datetime(2024, 3, 6, tzinfo=dt.UTC),
            request_params={"patient.family": "Pyrate"},
            fhir_paths=["Observation.id"],
        )
        assert isinstance(spread, pd.DataFrame)
        assert len(spread) == PATIENTS * OBSERVATIONS


if __name__ == "__main__":
    main(sys.argv[1])
