"""What a manifest says that cannot be: documents, rules and names, beyond the shape that the schema asks for."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flags.documents import normalise_config, normalise_segment, validate_config, validate_segment
from flags.documents.schema import SCHEMA_VERSION

from .errors import Path, Problem
from .facts import fact_problems
from .reading import path_of
from .rules import in_normal_form, named_rule_problems

PROSE = ("name", "title", "description", "reason")
NEEDED = ("name", "kind", "value_type")
_NAMES: dict[type, str] = {bool: "boolean", int: "integer", float: "float", str: "string"}


@dataclass(frozen=True, slots=True)
class Known:
    """What there is beside the manifest: type and schema of each flag, and the segments of each environment."""

    flags: Mapping[str, tuple[str, dict[str, Any] | None]] = field(default_factory=dict)
    segments: Mapping[str, Collection[str]] = field(default_factory=dict)


class _Every(frozenset[str]):
    """Keys of which nobody knows which there are: each might be."""

    def __contains__(self, key: object) -> bool:
        return True


def problems_of(manifest: Mapping[str, Any], known: Known | None) -> list[Problem]:
    """Everything that is wrong with a manifest as it was read; without `known`, all but what only that tells."""
    found = [*_new_flag_problems(manifest, known), *_rule_problems(manifest), *fact_problems(manifest)]
    for key, environment in manifest.get("environments", {}).items():
        found += _environment_problems(manifest, ("environments", key), environment, known)
    return found


def normal_form(manifest: Mapping[str, Any], known: Known) -> dict[str, Any]:
    """A manifest without problems, its documents, tags and names as they are stored. Twice changes nothing."""
    result = dict(manifest)
    if "flags" in manifest:
        result["flags"] = {key: _normal_flag(entry) for key, entry in manifest["flags"].items()}
    if "policy_rules" in manifest:
        result["policy_rules"] = {key: in_normal_form(rule) for key, rule in manifest["policy_rules"].items()}
    if "plan_templates" in manifest:
        result["plan_templates"] = {key: _normal_template(entry) for key, entry in manifest["plan_templates"].items()}
    if "environments" in manifest:
        result["environments"] = {
            key: _normal_environment(entry, manifest, known) for key, entry in manifest["environments"].items()
        }
    return result


def value_type_of(manifest: Mapping[str, Any], known: Known | None, flag_key: str) -> str | None:
    """The value type of a flag; that of the flag there is goes first, because it never changes."""
    if known is not None and flag_key in known.flags:
        return known.flags[flag_key][0]
    told: str | None = manifest.get("flags", {}).get(flag_key, {}).get("value_type")
    return told


def _apparent_type(config: Mapping[str, Any]) -> str:
    """The value type that variants show, where nobody knows that of the flag."""
    variants = config.get("variants")
    items = [item for item in variants if isinstance(item, Mapping)] if isinstance(variants, list) else []
    names = {_NAMES.get(type(item.get("value")), "object") for item in items}
    return "float" if names == {"integer", "float"} else min(names, default="object")


def segment_document(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a segment in a manifest."""
    return normalise_segment({"schema": SCHEMA_VERSION, "condition": entry["condition"]})


def _normal_flag(entry: Mapping[str, Any]) -> dict[str, Any]:
    result = _stripped(entry)
    if "tags" in entry:
        result["tags"] = sorted({tag.strip() for tag in entry["tags"]})
    if "links" in entry:
        result["links"] = [link.strip() for link in entry["links"]]
    for name in ("owner", "team"):
        if name in entry:
            result[name] = entry[name] or None
    return result


def _normal_template(entry: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"kinds": sorted(set(entry["kinds"]))} if "kinds" in entry else {}
    return {**_stripped(entry), **kinds}


def _stripped(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with its prose as services keep it."""
    return {**entry, **{name: entry[name].strip() for name in PROSE if name in entry}}


def _normal_environment(environment: Mapping[str, Any], manifest: Mapping[str, Any], known: Known) -> dict[str, Any]:
    result = dict(environment)
    if "segments" in environment:
        result["segments"] = {
            key: {**entry, "condition": segment_document(entry)["condition"]}
            for key, entry in environment["segments"].items()
        }
    if "flags" in environment:
        result["flags"] = {
            key: _normal_served(entry, value_type_of(manifest, known, key), key)
            for key, entry in environment["flags"].items()
        }
    if "plans" in environment:
        result["plans"] = [_stripped(plan) for plan in environment["plans"]]
    if environment.get("policy"):
        named = sorted(set(environment["policy"]["named_approvers"]))
        result["policy"] = {**environment["policy"], "named_approvers": named}
    return result


def _normal_served(entry: Mapping[str, Any], value_type: str | None, flag_key: str) -> dict[str, Any]:
    if "config" not in entry:
        return dict(entry)
    return {**entry, "config": normalise_config(entry["config"], value_type=value_type, flag_key=flag_key)}


def _new_flag_problems(manifest: Mapping[str, Any], known: Known | None) -> Iterator[Problem]:
    for key, entry in manifest.get("flags", {}).items():
        missing = [name for name in NEEDED if name not in entry]
        if known is not None and key not in known.flags and missing:
            yield Problem(("flags", key), f"A new flag needs {', '.join(missing)}.")


def _rule_problems(manifest: Mapping[str, Any]) -> Iterator[Problem]:
    for key, document in manifest.get("policy_rules", {}).items():
        for path, message in named_rule_problems(document):
            yield Problem(("policy_rules", key, *path_of(path)), message)


def _environment_problems(
    manifest: Mapping[str, Any], place: Path, environment: Mapping[str, Any], known: Known | None
) -> Iterator[Problem]:
    segments: Collection[str] = _Every()
    if known is not None:
        segments = {*environment.get("segments", {}), *known.segments.get(str(place[1]), ())}
    for key, entry in environment.get("segments", {}).items():
        for item in validate_segment(segment_document(entry), segment_keys=segments):
            yield Problem((*place, "segments", key, *path_of(item.path)), item.message)
    for key, served in environment.get("flags", {}).items():
        yield from _served_problems(manifest, (*place, "flags", key), served, known, segments)
    titles: set[str] = set()
    for number, plan in enumerate(environment.get("plans", [])):
        for position, key in enumerate(plan["definition"]["flags"]):
            if known is not None and value_type_of(manifest, known, key) is None:
                path = (*place, "plans", number, "definition", "flags", position)
                yield Problem(path, f"There is no flag {key}. Add it to “flags”, or take it out of the plan.")
        title = plan["title"].strip()
        if title in titles:
            yield Problem((*place, "plans", number), f"There are two plans titled “{title[:100]}”. Rename one.")
        titles.add(title)


def _served_problems(
    manifest: Mapping[str, Any],
    place: Path,
    served: Mapping[str, Any],
    known: Known | None,
    segments: Collection[str],
) -> Iterator[Problem]:
    key = str(place[-1])
    value_type = value_type_of(manifest, known, key)
    if value_type is None and known is not None:
        yield Problem(place, f"There is no flag {key}. Add it to “flags”, with name, kind and value_type.")
        return
    if "config" in served:
        value_type = value_type or _apparent_type(served["config"])
        told = manifest.get("flags", {}).get(key, {}).get("value_schema")
        schema = known.flags[key][1] if known is not None and key in known.flags else told
        document = normalise_config(served["config"], value_type=value_type, flag_key=key)
        for item in validate_config(document, value_type=value_type, value_schema=schema, segment_keys=segments):
            yield Problem((*place, "config", *path_of(item.path)), item.message)
    timeline = served.get("timeline")
    if timeline and timeline["definition"]["flag_key"] != key:
        yield Problem((*place, "timeline", "definition", "flag_key"), f"This timeline stands at {key}: say {key} here.")
