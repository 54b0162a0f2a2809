"""What a manifest and what there is do not have in common: by address, in words.

What the manifest does not say is not compared. Things that it leaves out of a part it does say are named, and stay.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from audits.integrity import canonical_json
from flags.changes import diff_configs, diff_segments
from flags.documents.normalise import normalise_segment

from .schema import SETTINGS


class Kind(StrEnum):
    """How a thing differs: it is not there yet, it is there otherwise, or only the manifest lacks it."""

    NEW = "new"
    CHANGED = "changed"
    UNMANAGED = "not_in_manifest"


class Subject(StrEnum):
    """What kind of thing differs."""

    PROJECT = "project"
    ENVIRONMENT = "environment"
    FLAG = "flag"
    CONFIG = "config"
    SEGMENT = "segment"
    POLICY = "policy"
    RULE = "policy_rule"
    TEMPLATE = "plan_template"
    PLAN = "plan"
    TIMELINE = "timeline"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs. `environment` is empty for what belongs to the project; `name` is a flag's field."""

    address: str
    kind: Kind
    subject: Subject
    key: str
    sentences: tuple[str, ...]
    environment: str = ""
    name: str = ""


def differences(
    wanted: Mapping[str, Any], present: Mapping[str, Any], *, past: Collection[str] = ()
) -> list[Difference]:
    """What differs between a manifest and what there is, both in normal form, in the order of the project.

    `past` are the `mark`s of plans and timelines that have ended: they are not begun again.
    """
    found = [*_project(wanted["project"], present["project"]), *_flags(wanted, present)]
    found += _keyed(wanted, present, "policy_rules", Subject.RULE)
    found += _keyed(wanted, present, "plan_templates", Subject.TEMPLATE)
    for key, environment in wanted.get("environments", {}).items():
        known = present.get("environments", {}).get(key)
        if known is None:
            sentence = f"There is no environment {key}. A site administrator creates it."
            found.append(
                Difference(f"environments.{key}", Kind.NEW, Subject.ENVIRONMENT, key, (sentence,), environment=key)
            )
            continue
        found += _environment(key, environment, known, past)
    return found


def mark(environment: str, thing: str, definition: Mapping[str, Any]) -> str:
    """What tells a plan (`thing` is its title) or a timeline (its flag) from others of its environment."""
    return f"{environment}/{thing}/{hashlib.sha256(canonical_json(definition)).hexdigest()}"


def _project(wanted: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[Difference]:
    for name in ("name", "description"):
        if name in wanted and not _is_same(wanted[name], present[name]):
            sentence = f"The project's {name} is {_shown(present[name])} and not {_shown(wanted[name])}."
            yield Difference(f"project.{name}", Kind.CHANGED, Subject.PROJECT, present["key"], (sentence,), name=name)


def _flags(wanted: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[Difference]:
    if "flags" not in wanted:
        return
    known = present.get("flags", {})
    for key, entry in wanted["flags"].items():
        if key not in known:
            words = (
                f"New flag “{entry.get('name', key)}”, {entry.get('kind')}, {entry.get('value_type')}, switched off."
            )
            yield Difference(f"flags.{key}", Kind.NEW, Subject.FLAG, key, (words,))
            continue
        for name, value in entry.items():
            before = known[key].get(name)
            if not _is_same(before, value):
                words = f"{_label(name)}: {_shown(value)}. Until now: {_shown(before)}."
                yield Difference(f"flags.{key}.{name}", Kind.CHANGED, Subject.FLAG, key, (words,), name=name)
    yield from _left_out("flags", Subject.FLAG, wanted["flags"], known)


def _keyed(
    wanted: Mapping[str, Any], present: Mapping[str, Any], section: str, subject: Subject
) -> Iterator[Difference]:
    if section not in wanted:
        return
    known = present.get(section, {})
    for key, entry in wanted[section].items():
        if key not in known:
            yield Difference(f"{section}.{key}", Kind.NEW, subject, key, (f"New: “{entry['name']}”.",))
            continue
        changed = [name for name in entry if not _is_same(entry[name], known[key].get(name))]
        if changed:
            words = tuple(f"{_label(name)} changes." for name in changed)
            yield Difference(f"{section}.{key}", Kind.CHANGED, subject, key, words)
    yield from _left_out(section, subject, wanted[section], known)


def _environment(
    key: str, wanted: Mapping[str, Any], present: Mapping[str, Any], past: Collection[str]
) -> Iterator[Difference]:
    place = f"environments.{key}"
    for name in SETTINGS:
        if name in wanted and not _is_same(wanted[name], present[name]):
            words = f"{_label(name)} is {_shown(present[name])} and not {_shown(wanted[name])}."
            address = f"{place}.{name}"
            yield Difference(address, Kind.CHANGED, Subject.ENVIRONMENT, key, (words,), environment=key, name=name)
    if wanted.get("policy") and not _is_same(wanted["policy"], present["policy"]):
        words_of = tuple(
            f"{_label(name)}: {_shown(value)}. Until now: {_shown(present['policy'][name])}."
            for name, value in wanted["policy"].items()
            if not _is_same(value, present["policy"][name])
        )
        yield Difference(f"{place}.policy", Kind.CHANGED, Subject.POLICY, key, words_of, environment=key)
    yield from _segments(key, wanted, present)
    yield from _served(key, wanted, present, past)
    yield from _plans(key, wanted, present, past)


def _segments(environment: str, wanted: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[Difference]:
    if "segments" not in wanted:
        return
    known, place = present.get("segments", {}), f"environments.{environment}.segments"
    for key, entry in wanted["segments"].items():
        before = known.get(key)
        if before is not None and _is_same(before, entry):
            continue
        was = None if before is None else normalise_segment({"condition": before["condition"]})
        words = [item.sentence for item in diff_segments(was, normalise_segment({"condition": entry["condition"]}))]
        if before is not None and before["name"] != entry["name"]:
            words.append(f"Name: {_shown(entry['name'])}. Until now: {_shown(before['name'])}.")
        kind = Kind.NEW if before is None else Kind.CHANGED
        yield Difference(f"{place}.{key}", kind, Subject.SEGMENT, key, tuple(words), environment=environment)
    yield from _left_out(place, Subject.SEGMENT, wanted["segments"], known, environment)


def _served(
    environment: str, wanted: Mapping[str, Any], present: Mapping[str, Any], past: Collection[str]
) -> Iterator[Difference]:
    if "flags" not in wanted:
        return
    known, place = present.get("flags", {}), f"environments.{environment}.flags"
    for key, entry in wanted["flags"].items():
        before = known.get(key, {})
        config = before.get("config")
        if "config" in entry and not _is_same(entry["config"], config):
            words = tuple(item.sentence for item in diff_configs(config, entry["config"]))
            kind = Kind.NEW if config is None else Kind.CHANGED
            yield Difference(f"{place}.{key}.config", kind, Subject.CONFIG, key, words, environment=environment)
        timeline = entry.get("timeline")
        if timeline and mark(environment, key, timeline["definition"]) not in past:
            yield from _definition(f"{place}.{key}.timeline", Subject.TIMELINE, key, environment, timeline, before)
    served = {key for key, entry in known.items() if "config" in entry}
    yield from _left_out(place, Subject.CONFIG, wanted["flags"], served, environment)


def _definition(
    address: str, subject: Subject, key: str, environment: str, wanted: Mapping[str, Any], before: Mapping[str, Any]
) -> Iterator[Difference]:
    known = before.get("timeline") if subject is Subject.TIMELINE else before
    if known and _is_same(known["definition"], wanted["definition"]):
        return
    what = "timeline" if subject is Subject.TIMELINE else "plan"
    kind, words = (Kind.CHANGED, f"The {what} says something else.") if known else (Kind.NEW, f"New {what}.")
    yield Difference(address, kind, subject, key, (words,), environment=environment)


def _plans(
    environment: str, wanted: Mapping[str, Any], present: Mapping[str, Any], past: Collection[str]
) -> Iterator[Difference]:
    known = {plan["title"]: plan for plan in present.get("plans", [])}
    for number, plan in enumerate(wanted.get("plans", [])):
        if mark(environment, plan["title"], plan["definition"]) not in past:
            address = f"environments.{environment}.plans[{number}]"
            before = known.get(plan["title"], {})
            yield from _definition(address, Subject.PLAN, plan["title"], environment, plan, before)


def _left_out(
    place: str, subject: Subject, wanted: Collection[str], present: Collection[str], environment: str = ""
) -> Iterator[Difference]:
    for key in present:
        if key not in wanted:
            words = ("It is there and not in the manifest. Nothing happens to it.",)
            yield Difference(f"{place}.{key}", Kind.UNMANAGED, subject, key, words, environment=environment)


def _is_same(a: Any, b: Any) -> bool:
    """Byte by byte: 1 is neither 1.0 nor true, unlike in Python."""
    return canonical_json(a) == canonical_json(b)


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _shown(value: Any) -> str:
    if value is None or value in ("", []):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    text = str(value)
    return f"“{text}”" if len(text) <= 100 else f"“{text[:100]}…”"
