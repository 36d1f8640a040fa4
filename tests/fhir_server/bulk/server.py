"""A server of bulk data, a client of it, and a worker that works when it is told to."""

from dataclasses import dataclass, field
from pathlib import Path

import httpx

from fhir_server.jobs.job import JobKind
from fhir_server.jobs.runner import Runner
from hie import wiring
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from tests.fhir_server.interactions.client import Client


@dataclass
class Bulk:
    """Paths are relative to the FHIR base; `folder` is the test's, jobs lie in `jobs` below it."""

    exchange: wiring.Exchange
    client: Client
    folder: Path
    kinds: dict[str, JobKind] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """The FHIR base URL."""
        return self.exchange.settings.base_url

    def put(self, *resources: JsonObject) -> None:
        """Update each resource."""
        for resource in resources:
            name = f"{resource['resourceType']}/{resource['id']}"
            answer = self.client.put(name, content=dumps(resource))
            assert answer.status_code < 300, answer.text

    def delete(self, name: str) -> None:
        """Delete the resource `name`."""
        assert self.client.delete(name).status_code < 300

    def runner(self) -> Runner:
        """Return a runner of the exchange's jobs, of `kinds` where they differ."""
        runner = self.exchange.job_runner()
        runner._kinds = {**self.exchange.job_kinds, **self.kinds}
        return runner

    def work(self) -> None:
        """Work all jobs that wait."""
        while self.runner().work_one():
            pass

    def kick_off(self, path: str, body: Json = None, prefer: str = "respond-async") -> httpx.Response:
        """Return the answer to a kick-off: by POST with a body, else by GET."""
        headers = {"Prefer": prefer}
        if body is None:
            return self.client.get(path, headers=headers)
        return self.client.post(path, content=dumps(body), headers=headers)

    def status(self, kicked_off: httpx.Response) -> httpx.Response:
        """Return the status of the job that was kicked off."""
        assert kicked_off.status_code == 202, kicked_off.text
        return self.client.get(self.path(kicked_off.headers["Content-Location"]))

    def path(self, url: str) -> str:
        """Return a URL of the server as a path."""
        assert url.startswith(self.base + "/")
        return url.removeprefix(self.base + "/")

    def finish(self, kicked_off: httpx.Response) -> JsonObject:
        """Work what was kicked off and return its manifest."""
        self.work()
        status = self.status(kicked_off)
        assert status.status_code == 200, status.text
        manifest: JsonObject = loads(status.content)
        return manifest

    def export(self, path: str, body: Json = None, prefer: str = "respond-async") -> JsonObject:
        """Export and return the manifest."""
        return self.finish(self.kick_off(path, body, prefer))

    def lines(self, manifest: JsonObject, group: str = "output") -> list[JsonObject]:
        """Return the resources in the files of `manifest`, whose counts and types are checked."""
        found = []
        for entry in manifest[group]:
            answer = self.client.get(self.path(entry["url"]))
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+ndjson")
            resources = [loads(line) for line in answer.content.splitlines()]
            assert len(resources) == entry["count"]
            assert {each["resourceType"] for each in resources} == {entry["type"]}
            found += resources
        return found

    def names(self, manifest: JsonObject) -> list[str]:
        """Return the resources of `manifest` as references, sorted."""
        return sorted(f"{each['resourceType']}/{each['id']}" for each in self.lines(manifest))
