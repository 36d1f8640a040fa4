"""The YAML map files read into `maps`, with errors that name file, rule and what is wrong.

https://yaml.org; libyaml's safe loader only: a map file holds data and nothing that runs.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

import yaml

from hie.core.errors import ConfigurationError
from hie.core.fhir.json import Json, JsonObject
from hl7_gateway.convert.maps import MessageMap, Node, ResourceUse, Rule, SegmentMap, Step, Write

MAPS = Path(__file__).parent.parent / "maps"

_RULE_KEYS = frozenset(
    {
        *("from", "to", "when", "where", "default", "clears", "comment"),
        *("as", "constant", "element", "link", "use", "keep"),
        *("map", "namespace", "refer", "url", "value"),
    }
)
_SEGMENT_KEYS = frozenset({"segment", "resource", "element", "source", "rules", "comment"})
_MESSAGE_KEYS = frozenset({"structure", "based_on", "source", "triggers", "resources", "segments", "comment"})
_RESOURCE_KEYS = frozenset({"type", "key", "write", "refer", "belongs", "complete", "comment"})
_NODE_KEYS = frozenset({"required", "max", "steps", "segments", "unmapped", "comment"})
_STEP_KEYS = frozenset({"new", "into", "or_new", "map", "when", "refer", "referred", "comment"})


def load_segment_maps(folder: Path = MAPS) -> dict[str, SegmentMap]:
    """Return every segment map by its name, which is its file's name ("PID_Patient")."""
    return {path.stem: _segment_map(path) for path in sorted((folder / "segments").glob("*.yaml"))}


def load_message_maps(folder: Path = MAPS) -> list[MessageMap]:
    """Return every message map, those that others are based on included."""
    shared = _mapping(_read(folder / "resources.yaml"), folder / "resources.yaml")
    paths = {path.stem: path for path in sorted((folder / "messages").glob("*.yaml"))}
    texts = {name: _mapping(_read(path), path) for name, path in paths.items()}
    return [_message_map(name, texts, shared, paths[name]) for name in texts]


def _read(path: Path) -> Json:
    try:
        return yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"Map file {path.name} cannot be read: {error}") from error


def _segment_map(path: Path) -> SegmentMap:
    text = _mapping(_read(path), path)
    _only(text, _SEGMENT_KEYS, path.name)
    segment = _text(text, "segment", path.name)
    rules = text.get("rules")
    if not isinstance(rules, list) or not rules:
        raise ConfigurationError(f"{path.name}: `rules` is not a list of rules")
    return SegmentMap(
        name=path.stem,
        segment=segment,
        resource=_text(text, "resource", path.name),
        element=str(text.get("element", "")),
        rules=tuple(_rule(rule, segment, f"{path.name}, rule {n}") for n, rule in enumerate(rules, 1)),
    )


def _rule(text: Json, segment: str, where: str) -> Rule:
    rule = _mapping(text, where)
    _only(rule, _RULE_KEYS, where)
    field, component = _place(str(rule.get("from", "")), segment, where)
    value = str(rule.get("value", ""))
    function, constant, refer = str(rule.get("as", "")), rule.get("constant"), str(rule.get("refer", ""))
    concept_map, namespace = str(rule.get("map", "")), str(rule.get("namespace", ""))
    element = tuple(
        _rule(inner, segment, f"{where}, element {n}") for n, inner in enumerate(rule.get("element", ()), 1)
    )
    ways = [
        bool(function),
        constant is not None,
        bool(element),
        *(key in rule for key in ("use", "keep", "link")),
    ]
    if ways.count(True) != 1:
        raise ConfigurationError(
            f"{where}: needs exactly one of `as`, `constant`, `element`, `link`, `use`, `keep`"
        )
    if "url" in rule:
        # An extension is an element with a url and a value; the short form keeps maps readable.
        if not function or not value:
            raise ConfigurationError(f"{where}: an extension (`url`) needs `as` and `value`")
        element = (
            Rule(to="url", constant=str(rule["url"])),
            Rule(to=value, function=function, concept_map=concept_map, namespace=namespace, refer=refer),
        )
        function = concept_map = namespace = refer = ""
    return Rule(
        to=str(rule.get("to", "")),
        field=field,
        component=component,
        function=function,
        concept_map=concept_map,
        namespace=namespace,
        constant=constant,
        default=rule.get("default"),
        refer=refer,
        link=str(rule.get("link", "")),
        element=element,
        when=_names(rule.get("when")),
        where=_names(rule.get("where")),
        use=str(rule.get("use", "")),
        keep=str(rule.get("keep", "")),
        clears=_names(rule.get("clears")),
    )


def _place(text: str, segment: str, where: str) -> tuple[int, int]:
    if not text:
        return 0, 0
    name, _, rest = text.partition("-")
    field, _, component = rest.partition(".")
    if name and name != segment:
        raise ConfigurationError(f"{where}: `{text}` is not of segment {segment}")
    if not (field or "0").isdigit() or not (component or "0").isdigit():
        raise ConfigurationError(f"{where}: `{text}` is not a field or component")
    return int(field or 0), int(component or 0)


def _message_map(name: str, texts: Mapping[str, JsonObject], shared: JsonObject, path: Path) -> MessageMap:
    text = _inherited(name, texts, path)
    _only(text, _MESSAGE_KEYS, path.name)
    if _text(text, "structure", path.name) != name:
        raise ConfigurationError(f"{path.name}: `structure` is not the file's name")
    resources = _merged(shared, _mapping(text.get("resources") or {}, path))
    return MessageMap(
        structure=name,
        triggers=_names(texts[name].get("triggers")),
        resources={key: _resource(key, value, path.name) for key, value in resources.items()},
        children=_nodes(text.get("segments"), path.name),
    )


def _inherited(name: str, texts: Mapping[str, JsonObject], path: Path) -> JsonObject:
    text = texts[name]
    base = text.get("based_on")
    if base is None:
        return text
    if base not in texts:
        raise ConfigurationError(f"{path.name}: there is no map `{base}` to be based on")
    return _merged(_inherited(str(base), texts, path), {k: v for k, v in text.items() if k != "based_on"})


def _merged(base: JsonObject, over: JsonObject) -> JsonObject:
    result = dict(base)
    result.pop("based_on", None)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merged(result[key], value)
        else:
            result[key] = value
    return result


def _resource(name: str, text: Json, where: str) -> ResourceUse:
    resource = _mapping(text, f"{where}, resource {name}")
    _only(resource, _RESOURCE_KEYS, f"{where}, resource {name}")
    write = _text(resource, "write", f"{where}, resource {name}")
    if write not in ("merge", "update", "create"):
        raise ConfigurationError(f"{where}, resource {name}: `write` is none of merge, update, create")
    return ResourceUse(
        name=name,
        type=_text(resource, "type", f"{where}, resource {name}"),
        key=_text(resource, "key", f"{where}, resource {name}"),
        write=cast("Write", write),
        refer=_pairs(resource.get("refer")),
        belongs=_names(resource.get("belongs")),
        complete=_names(resource.get("complete")),
    )


def _nodes(text: Json, where: str) -> dict[str, Node]:
    return {name: _node(name, node, where) for name, node in _mapping(text or {}, where).items()}


def _node(segment: str, text: Json, where: str) -> Node:
    place = f"{where}, segment {segment}"
    node = _mapping(text or {}, place)
    _only(node, _NODE_KEYS, place)
    return Node(
        segment=segment,
        steps=tuple(_step(step, place) for step in node.get("steps", ())),
        children=_nodes(node.get("segments"), place),
        limit=int(node.get("max", 0)),
        is_required=bool(node.get("required")),
        unmapped=str(node.get("unmapped", "")),
    )


def _step(text: Json, where: str) -> Step:
    step = _mapping(text, where)
    _only(step, _STEP_KEYS, where)
    if ("new" in step) == ("into" in step):
        raise ConfigurationError(f"{where}: a step has either `new` or `into`")
    return Step(
        name=str(step.get("new") or step.get("into")),
        is_new="new" in step,
        begins_if_none=bool(step.get("or_new")),
        map=_text(step, "map", where),
        when=_names(step.get("when")),
        refer=_pairs(step.get("refer")),
        referred=_pairs(step.get("referred")),
    )


def _mapping(value: Json, where: object) -> JsonObject:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where}: expected a mapping, found {type(value).__name__}")
    return cast("JsonObject", value)


def _only(text: JsonObject, keys: Iterable[str], where: str) -> None:
    unknown = sorted(set(text) - set(keys))
    if unknown:
        raise ConfigurationError(f"{where}: unknown key `{unknown[0]}`")


def _text(text: JsonObject, key: str, where: str) -> str:
    value = text.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{where}: `{key}` is missing")
    return value


def _names(value: Json) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(name) for name in value)


def _pairs(value: Json) -> tuple[tuple[str, str], ...]:
    """Return (element path, resource name) pairs, as many for a path as it has names."""
    if value is None:
        return ()
    pairs: list[tuple[str, str]] = []
    for path, names in value.items():
        pairs.extend((str(path), name) for name in _names(names))
    return tuple(pairs)
