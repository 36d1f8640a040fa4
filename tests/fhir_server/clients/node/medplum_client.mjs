// @medplum/core (https://github.com/medplum/medplum); its one argument is the FHIR URL.
import assert from "node:assert/strict";
import { MedplumClient, OperationOutcomeError } from "@medplum/core";

const PAGES = 25;
const url = new URL(process.argv[2]);
const medplum = new MedplumClient({
  baseUrl: `${url.origin}/`,
  fhirUrlPath: url.pathname.slice(1),
  fetch,
  cacheTime: 0,
});

const made = await medplum.createResource({
  resourceType: "Patient",
  identifier: [{ system: "http://clients.example/medplum", value: "1" }],
  name: [{ family: "Medplum" }],
});
const { id } = made;
const query = "identifier=http://clients.example/medplum|1";
const same = await medplum.createResourceIfNoneExist({ resourceType: "Patient", name: [{ family: "X" }] }, query);
assert.equal(same.id, id);
const changed = await medplum.updateResource({ ...made, gender: "female" });
assert.equal(changed.meta.versionId, "2");
const patched = await medplum.patchResource("Patient", id, [
  { op: "test", path: "/meta/versionId", value: "2" },
  { op: "add", path: "/birthDate", value: "2001-02-03" },
]);
assert.equal(patched.birthDate, "2001-02-03");
assert.equal((await medplum.readHistory("Patient", id)).entry.length, 3);
assert.equal((await medplum.readVersion("Patient", id, "1")).gender, undefined);
assert.equal((await medplum.upsertResource({ ...made, active: true }, query)).active, true);

const batch = await medplum.executeBatch({
  resourceType: "Bundle",
  type: "transaction",
  entry: Array.from({ length: PAGES }, (_, number) => ({
    resource: {
      resourceType: "Observation",
      status: "final",
      code: { text: `medplum ${number}` },
      subject: { reference: `Patient/${id}` },
      valueQuantity: { value: number, unit: "g" },
    },
    request: { method: "POST", url: "Observation" },
  })),
});
assert.equal(batch.entry.length, PAGES);

const bundle = await medplum.search("Observation", { patient: id, _count: 10, _total: "accurate" });
assert.deepEqual([bundle.total, bundle.entry.length], [PAGES, 10]);
const found = await medplum.searchResources("Observation", `subject=Patient/${id}&value-quantity=ge20&_count=50`);
assert.equal(found.length, 5);
let pages = 0;
for await (const page of medplum.searchResourcePages("Observation", { patient: id, _count: 10 })) {
  pages += 1;
  assert.ok(page.length > 0);
}
assert.equal(pages, 3);
assert.equal((await medplum.searchOne("Patient", query)).id, id);
assert.equal((await medplum.readReference(found[0].subject)).id, id);
assert.equal((await medplum.readPatientEverything(id)).resourceType, "Bundle");
const outcome = await medplum.validateResource({ resourceType: "Patient", birthDate: "2001" });
assert.equal(outcome.resourceType, "OperationOutcome");

const graph = await medplum.graphql(
  `query ($id: ID!) { Patient(id: $id) { gender ObservationList(_reference: patient) { id } } }`,
  null,
  { id },
);
assert.equal(graph.data.Patient.ObservationList.length, PAGES);

const exported = await medplum.bulkExport("", "Patient,Observation", undefined, {
  pollStatusOnAccepted: true,
  pollStatusPeriod: 200,
});
const lines = [];
for (const { url: file } of exported.output) {
  const text = await (await medplum.download(file)).text();
  lines.push(...text.trim().split("\n").map((line) => JSON.parse(line)));
}
assert.ok(lines.some((each) => each.id === id));
assert.ok(lines.length > PAGES);

await assert.rejects(medplum.createResource({ resourceType: "Patient", gender: "none" }), OperationOutcomeError);
await medplum.deleteResource("Patient", id);
await assert.rejects(medplum.readResource("Patient", id), (error) => error.outcome.issue[0].code === "deleted");
