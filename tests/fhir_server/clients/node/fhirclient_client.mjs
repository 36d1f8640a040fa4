// fhirclient (SMART, https://github.com/smart-on-fhir/client-js), its node side; its one argument is the URL.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import smart from "fhirclient";

const PAGES = 25;

// The node side lives inside a web server: it is asked for by a request and answers it.
const [request, response, server] = await new Promise((resolve) => {
  const listening = createServer((asked, answered) => resolve([asked, answered, listening]));
  listening.listen(0, "127.0.0.1", () => fetch(`http://127.0.0.1:${listening.address().port}/`));
});
const client = smart(request, response).client(process.argv[2]);

assert.equal(await client.getFhirVersion(), "4.0.1");
assert.equal(await client.getFhirRelease(), 4);
const made = await client.create({ resourceType: "Patient", name: [{ family: "Smartjs" }], active: false });
const { id } = made;
const changed = await client.update({ ...made, active: true });
assert.equal(changed.meta.versionId, "2");
const patched = await client.patch(`Patient/${id}`, [{ op: "add", path: "/gender", value: "other" }]);
assert.equal(patched.gender, "other");

const entry = Array.from({ length: PAGES }, (_, number) => ({
  resource: {
    resourceType: "Observation",
    status: "final",
    code: { text: `smart ${number}` },
    subject: { reference: `Patient/${id}` },
    effectiveDateTime: "2024-01-01",
  },
  request: { method: "POST", url: "Observation" },
}));
await client.request({
  url: "",
  method: "POST",
  body: JSON.stringify({ resourceType: "Bundle", type: "transaction", entry }),
  headers: { "content-type": "application/json" },
});

const sizes = [];
for await (const page of client.pages(`Observation?patient=${id}&_count=10`)) {
  sizes.push(page.entry.length);
}
assert.deepEqual(sizes, [10, 10, 5]);
const all = await client.request(`Observation?patient=${id}&_count=10`, { pageLimit: 0, flat: true });
assert.equal(all.length, PAGES);
const graph = await client.request(`Observation?patient=${id}&_count=5`, {
  resolveReferences: ["subject"],
  graph: true,
});
assert.equal(graph.entry[0].resource.subject.id, id);
let streamed = 0;
for await (const each of client.resources(`Observation?patient=${id}&_count=7`)) {
  assert.equal(each.resourceType, "Observation");
  streamed += 1;
}
assert.equal(streamed, PAGES);

await assert.rejects(client.request("Patient/nobody"), (error) => error.status === 404);
await client.delete(`Patient/${id}`);
await assert.rejects(client.request(`Patient/${id}`), (error) => error.status === 410);
response.end();
server.close();
server.closeAllConnections();
