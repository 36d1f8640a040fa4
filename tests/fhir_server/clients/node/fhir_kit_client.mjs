// fhir-kit-client (https://github.com/Vermonster/fhir-kit-client); its one argument is the URL.
import assert from "node:assert/strict";
import { Client, CapabilityTool } from "fhir-kit-client";

const PAGES = 25;
const client = new Client({ baseUrl: process.argv[2] });

const statement = await client.capabilityStatement();
const tool = new CapabilityTool(statement);
assert.equal(statement.fhirVersion, "4.0.1");
assert.ok(tool.resourceCan("Patient", "read"));
assert.ok(tool.serverCan("transaction"));

const made = await client.create({
  resourceType: "Patient",
  body: { resourceType: "Patient", name: [{ family: "Kit" }], birthDate: "1970-01-01" },
});
assert.equal(made.meta.versionId, "1");
const { id } = made;
const changed = await client.update({
  resourceType: "Patient",
  id,
  body: { ...made, active: true },
});
assert.equal(changed.meta.versionId, "2");
const patched = await client.patch({
  resourceType: "Patient",
  id,
  jsonPatch: [{ op: "replace", path: "/birthDate", value: "1970-01-02" }],
});
assert.equal(patched.birthDate, "1970-01-02");
const first = await client.vread({ resourceType: "Patient", id, version: "1" });
assert.equal(first.birthDate, "1970-01-01");
const history = await client.resourceHistory({ resourceType: "Patient", id });
assert.equal(history.entry.length, 3);
assert.equal((await client.typeHistory({ resourceType: "Patient" })).type, "history");
assert.equal((await client.systemHistory()).type, "history");

const entry = Array.from({ length: PAGES }, (_, number) => ({
  resource: {
    resourceType: "Observation",
    status: "final",
    code: { text: `kit ${number}` },
    subject: { reference: `Patient/${id}` },
  },
  request: { method: "POST", url: "Observation" },
}));
const done = await client.transaction({ body: { resourceType: "Bundle", type: "transaction", entry } });
assert.equal(done.type, "transaction-response");
assert.equal(done.entry.length, PAGES);
const batch = await client.batch({
  body: {
    resourceType: "Bundle",
    type: "batch",
    entry: [{ request: { method: "GET", url: `Patient/${id}` } }],
  },
});
assert.equal(batch.entry[0].resource.id, id);

const searchParams = { patient: id, _count: 10, _include: "Observation:subject" };
let page = await client.resourceSearch({ resourceType: "Observation", searchParams });
const found = new Set();
let pages = 0;
while (page) {
  pages += 1;
  for (const each of page.entry ?? []) {
    if (each.search.mode === "match") found.add(each.resource.id);
  }
  page = await client.nextPage({ bundle: page });
}
assert.deepEqual([pages, found.size], [3, PAGES]);
const posted = await client.resourceSearch({
  resourceType: "Observation",
  searchParams: { patient: id, _count: 50 },
  options: { postSearch: true },
});
assert.equal(posted.entry.length, PAGES);
const compartment = await client.compartmentSearch({
  resourceType: "Observation",
  compartment: { resourceType: "Patient", id },
  searchParams: { _count: 50 },
});
assert.equal(compartment.entry.length, PAGES);
const everywhere = await client.systemSearch({ searchParams: { _type: "Patient,Observation", _id: id } });
assert.equal(everywhere.entry.length, 1);

const [observation] = [...found];
const read = await client.read({ resourceType: "Observation", id: observation });
const resolved = await client.resolve({ reference: read.subject.reference });
assert.equal(resolved.id, id);

const all = await client.operation({
  name: "everything",
  resourceType: "Patient",
  id,
  method: "GET",
  input: { _count: 100 },
});
assert.ok(all.entry.length > PAGES);
const outcome = await client.operation({
  name: "validate",
  resourceType: "Patient",
  input: { resourceType: "Patient", birthDate: "1970" },
});
assert.equal(outcome.resourceType, "OperationOutcome");
const graph = await client.operation({
  name: "graphql",
  resourceType: "Patient",
  id,
  method: "GET",
  input: { query: "{ birthDate }" },
});
assert.deepEqual(graph, { data: { birthDate: "1970-01-02" } });

await assert.rejects(
  client.create({ resourceType: "Patient", body: { resourceType: "Patient", gender: "none" } }),
  (error) => error.response.status === 422 && error.response.data.resourceType === "OperationOutcome",
);
await client.delete({ resourceType: "Observation", id: observation });
await assert.rejects(
  client.read({ resourceType: "Observation", id: observation }),
  (error) => error.response.status === 410,
);
