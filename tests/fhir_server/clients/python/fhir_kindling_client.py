"""fhir-kindling (https://github.com/migraf/fhir-kindling), both ways; its one argument is the URL."""

import asyncio
import sys

from fhir.resources.organization import Organization
from fhir.resources.patient import Patient
from fhir_kindling import FhirServer

PAGES = 25


def main(url: str) -> None:
    """Do everything that the client offers."""
    server = FhirServer(url)
    assert server.capabilities.fhirVersion == "4.0.1"
    assert "Patient" in server.rest_resources

    made = server.add(Organization(name="Kindling"))
    reference = made.reference.reference
    assert server.get(reference).name == "Kindling"
    patients = [
        Patient(
            name=[{"family": f"Kindling{number}"}],
            birthDate="2000-01-01",
            managingOrganization={"reference": reference},
        )
        for number in range(PAGES)
    ]
    response = server.add_all(patients)
    assert len(response.references) == PAGES

    found = server.query("Patient").where("family", "eq", "kindling").all(count=10)
    assert len(found.resources) == PAGES
    some = server.query("Patient").where("birthdate", "eq", "2000-01-01").limit(5, count=2)
    assert len(some.resources) == 5
    assert server.query("Patient").where("birthdate", "gt", "2000-01-01").count() == 0
    both = server.query("Patient").include("Patient", "organization").all(count=10)
    assert {each.resource_type for each in both.included_resources} == {"Organization"}
    has = server.query("Organization").has("Patient", "organization", "birthdate", "eq", "2000-01-01").all()
    assert [each.name for each in has.resources] == ["Kindling"]
    raw = server.raw_query("/Patient?family=kindling&_count=10&_sort=family").all()
    assert len(raw.resources) == PAGES

    one = found.resources[0]
    one.gender = "female"
    server.update([one])
    assert server.get(f"Patient/{one.id}").gender == "female"
    several = server.get_many([each.reference for each in response.references[:3]])
    assert len(several) == 3
    asyncio.run(asynchronous(url))
    server.delete(references=response.references)
    assert server.query("Patient").where("family", "eq", "kindling").all().resources == []


async def asynchronous(url: str) -> None:
    """Search with the asynchronous client."""
    server = FhirServer(url)
    found = await server.query_async("Patient").where("family", "eq", "kindling").all(count=10)
    assert len(found.resources) == PAGES


if __name__ == "__main__":
    main(sys.argv[1])
