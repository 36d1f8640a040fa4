"""fhirclient (SMART, https://github.com/smart-on-fhir/client-py); its one argument is the URL."""

import sys

from fhirclient import client as smart
from fhirclient.models import humanname, observation, patient
from fhirclient.models.fhirdate import FHIRDate
from fhirclient.server import FHIRNotFoundException

PAGES = 25


def main(url: str) -> None:
    """Do everything that the client offers."""
    connection = smart.FHIRClient(settings={"app_id": "hie", "api_base": url})
    assert connection.prepare() is True
    assert connection.ready
    server = connection.server
    assert server.capabilityStatement.fhirVersion == "4.0.1"

    made = patient.Patient(
        {"name": [{"family": "Smartest", "given": ["Bo"]}], "gender": "male", "birthDate": "1990-05-06"}
    )
    created = made.create(server)
    identity = created["id"]
    read = patient.Patient.read(identity, server)
    assert read.birthDate.isostring == "1990-05-06"
    assert connection.human_name(read.name[0]) == "Bo Smartest"
    read.name.append(humanname.HumanName({"family": "Other"}))
    read.birthDate = FHIRDate("1990-05-07")
    read.update(server)
    assert len(patient.Patient.read(identity, server).name) == 2

    for number in range(PAGES):
        one = observation.Observation(
            {
                "status": "final",
                "code": {"text": f"smart {number}"},
                "subject": {"reference": f"Patient/{identity}"},
                "effectiveDateTime": f"2024-01-{number + 1:02}",
            }
        )
        assert one.create(server)["id"]
    search = observation.Observation.where({"patient": identity, "_count": "10"})
    bundles = list(search.perform_iter(server))
    assert [len(each.entry) for each in bundles] == [10, 10, 5]
    assert len(list(search.perform_resources_iter(server))) == PAGES
    dated = observation.Observation.where(
        {"patient": identity, "date": {"$and": ["ge2024-01-02", "lt2024-01-04"]}}
    )
    assert len(dated.perform_resources(server)) == 2
    by_code = patient.Patient.where({"family": {"$exact": "Smartest"}, "gender": {"$or": ["male", "other"]}})
    assert [each.id for each in by_code.perform_resources(server)] == [identity]
    with_patient = search.include("subject").perform(server)
    assert {each.resource.resource_type for each in with_patient.entry} == {"Observation", "Patient"}

    subject = observation.Observation.read(bundles[0].entry[0].resource.id, server).subject
    assert subject.resolved(patient.Patient).id == identity
    read.delete(server)
    try:
        patient.Patient.read("nobody", server)
    except FHIRNotFoundException:
        pass
    else:
        raise AssertionError("a resource that never was is read")


if __name__ == "__main__":
    main(sys.argv[1])
