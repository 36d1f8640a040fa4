"""fhirpy (https://github.com/beda-software/fhir-py), both ways; its one argument is the URL."""

import asyncio
import sys

import fhirpy
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

SYSTEM = "http://clients.example/fhirpy"
PAGES = 25


def main(url: str) -> None:
    """Do everything that the client offers."""
    client = fhirpy.SyncFHIRClient(url)
    patient = write(client)
    search(client, patient)
    refuse(client, patient)
    asyncio.run(asynchronous(url))


def write(client: fhirpy.SyncFHIRClient) -> fhirpy.lib.SyncFHIRResource:
    """Create, update and conditionally update a Patient; return it."""
    patient = client.resource(
        "Patient",
        identifier=[{"system": SYSTEM, "value": "1"}],
        name=[{"family": "Fhirpy", "given": ["Ada"]}],
    )
    patient.save()
    assert patient.id
    assert patient["meta"]["versionId"] == "1"

    patient["birthDate"] = "1980-01-01"
    patient.save()
    again = client.reference("Patient", patient.id).to_resource()
    assert again["birthDate"] == "1980-01-01"
    assert again["meta"]["versionId"] == "2"
    again["active"] = True
    again.update()
    patient.refresh()
    assert patient["active"] is True
    assert patient.is_valid()
    patient.patch(gender="female")
    patient["language"] = "zh-CN"
    patient.save(fields=["language"])
    patient.refresh()
    assert (patient["gender"], patient["language"], patient["birthDate"]) == ("female", "zh-CN", "1980-01-01")

    changed, is_new = client.resources("Patient").search(identifier=f"{SYSTEM}|1").update(patient)
    assert (changed.id, is_new) == (patient.id, False)
    return patient


def search(client: fhirpy.SyncFHIRClient, patient: fhirpy.lib.SyncFHIRResource) -> None:
    """Store Observations of `patient` in a transaction, and find them in every way."""
    entries = [
        {
            "resource": {
                "resourceType": "Observation",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
                "subject": {"reference": f"Patient/{patient.id}"},
                "valueQuantity": {"value": number, "unit": "g/L"},
            },
            "request": {"method": "POST", "url": "Observation"},
        }
        for number in range(PAGES)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = client.execute("", method="post", data=bundle)
    assert len(answer["entry"]) == PAGES

    observations = client.resources("Observation").search(subject=f"Patient/{patient.id}")
    assert observations.count() == PAGES
    assert len(observations.limit(10).fetch()) == 10
    assert len(observations.limit(10).fetch_all()) == PAGES
    assert len({each.id for each in observations.limit(7)}) == PAGES
    included = observations.limit(5).include("Observation", "subject").fetch_raw()
    assert {each["resource"]["resourceType"] for each in included["entry"]} == {"Observation", "Patient"}
    first = observations.sort("-date").limit(1).first()
    assert first is not None
    assert first["subject"].to_resource().id == patient.id
    by_name = client.resources("Patient").search(name__contains="hirp", birthdate__ge="1979").get()
    assert by_name.id == patient.id
    try:
        client.resources("Observation").search(subject=f"Patient/{patient.id}").get()
    except MultipleResourcesFound:
        pass
    else:
        raise AssertionError("more than one was found")


def refuse(client: fhirpy.SyncFHIRClient, patient: fhirpy.lib.SyncFHIRResource) -> None:
    """Meet the errors that the client knows."""
    try:
        client.resource("Patient", gender="no such").save()
    except OperationOutcome as outcome:
        if outcome.resource["issue"][0]["severity"] != "error":
            raise
    else:
        raise AssertionError("an invalid resource was stored")
    patient.delete()
    try:
        client.get("Patient", patient.id)
    except ResourceNotFound:
        pass
    else:
        raise AssertionError("a deleted resource was read")


async def asynchronous(url: str) -> None:
    """Do the same in short with the asynchronous client."""
    client = fhirpy.AsyncFHIRClient(url)
    made = [client.resource("Organization", name=f"Fhirpy {number}") for number in range(PAGES)]
    await asyncio.gather(*(each.save() for each in made))
    organizations = client.resources("Organization").search(name="fhirpy").limit(10)
    assert await organizations.count() == PAGES
    assert len(await organizations.fetch_all()) == PAGES
    assert len([each async for each in organizations]) == PAGES
    await asyncio.gather(*(each.delete() for each in made))
    assert await organizations.count() == 0


if __name__ == "__main__":
    main(sys.argv[1])
