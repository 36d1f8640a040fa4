"""Validates resources against profiles, R4's invariants and the definitions of their extensions.

Comes after the structural validator and takes its word for shape and required bindings. Profiles are
compiled when they are first asked for, and kept until a conformance resource changes: what a profile
means depends on those that it names, so that all are dropped together.
https://hl7.org/fhir/R4/validation.html
"""

from collections.abc import Iterable
from datetime import datetime
from threading import Lock
from typing import Final

from fhir_server.validation.conformance import ConformanceResources, WithR4
from fhir_server.validation.profile.compile import Compiler
from fhir_server.validation.profile.element import ElementNode, read_tree, type_of_canonical
from fhir_server.validation.profile.item import root_item
from fhir_server.validation.profile.reference import Resolve, Targets
from fhir_server.validation.profile.rule import Rule
from fhir_server.validation.profile.run import Profile, Run
from fhir_server.validation.profile.walk import check_resource
from fhir_server.validation.terminology import Terminology
from hie.core.errors import ExchangeError, Issue
from hie.core.fhir.json import JsonObject

_DEEPEST: Final = 16


class ProfileValidator:
    """Checks what the structural validator does not; share one instance among threads."""

    def __init__(self, resources: ConformanceResources) -> None:
        self._resources = WithR4(resources)
        self._terminology = Terminology(resources)
        self._lock = Lock()
        self._generation = -1
        self._profiles: dict[str, Profile | None] = {}
        self._trees: dict[str, ElementNode | None] = {}
        self._failures: dict[str, str] = {}

    def validate(
        self,
        resource: JsonObject,
        *,
        now: datetime,
        profiles: Iterable[str] = (),
        resolve: Resolve | None = None,
    ) -> list[Issue]:
        """Return what is wrong with `resource`, which is structurally valid, as R4 and profiles see it.

        Checked are R4's invariants, the profiles that it and the resources in it claim (`meta.profile`),
        those of `profiles`, and its extensions as far as their definitions are known. `resolve` finds
        what references name outside of it; `now` is the time for invariants, aware.
        """
        self._refresh()
        run = Run(self.profile_of, self._failures.get, self._terminology, Targets(resolve), now)
        root = root_item(resource)
        for url in profiles:
            run.validate(root, url, is_asked=True)
        check_resource(run, root)
        return run.issues

    def profile_of(self, canonical: str) -> Profile | None:
        """Return the profile of a canonical URL, None where it is not known or makes no sense."""
        if canonical not in self._profiles:
            # What one profile needs of others is compiled on the way.
            with self._lock:
                if canonical not in self._profiles:
                    self._profiles[canonical] = self._compile(canonical)
        return self._profiles[canonical]

    def _refresh(self) -> None:
        generation = self._resources.generation()
        if generation != self._generation:
            with self._lock:
                self._profiles, self._trees, self._failures = {}, {}, {}
                self._terminology.refresh()
                self._generation = generation

    def _compile(self, canonical: str) -> Profile | None:
        base = type_of_canonical(canonical)
        if base is not None:
            return Profile(canonical, base, Rule("", base))
        structure = self._resources.find("StructureDefinition", canonical)
        if structure is None:
            return None
        try:
            tree = self._tree(canonical)
            if tree is None:
                return None
            type_name = str(structure.get("type", ""))
            rule = Compiler(tree, type_name, self._tree).compile()
        except ExchangeError as error:
            self._failures[canonical] = error.message
            return None
        return Profile(
            str(structure.get("url", canonical)),
            type_name,
            rule,
            is_modifier=bool(tree.definition.get("isModifier")),
            contexts=tuple(
                (str(context.get("type")), str(context.get("expression")))
                for context in structure.get("context", ())
            ),
            parts=_parts(tree),
        )

    def _tree(self, canonical: str, *, depth: int = 0) -> ElementNode | None:
        if canonical not in self._trees:
            structure = self._resources.find("StructureDefinition", canonical)
            if structure is None or depth > _DEEPEST:
                return None
            self._trees[canonical] = read_tree(structure, lambda url: self._tree(url, depth=depth + 1))
        return self._trees[canonical]


def _parts(tree: ElementNode) -> frozenset[str]:
    """Return the urls that the slices of an extension's extensions fix."""
    extensions = tree.children.get("extension")
    fixed = [
        url.value("fixed")
        for each in (extensions.slices.values() if extensions is not None else ())
        if (url := each.children.get("url")) is not None
    ]
    return frozenset(str(value[1]) for value in fixed if value is not None)
