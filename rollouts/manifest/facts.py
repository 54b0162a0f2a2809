"""Texts, numbers and definitions of a manifest that cannot be, whatever there is beside it."""

from collections.abc import Iterator, Mapping
from typing import Any

from flags.errors import InvalidInput
from flags.services.keys import checked_text
from rollouts.deprecations import codec as timelines
from rollouts.deprecations.checking import schedule_problems
from rollouts.plans import codec as plans
from rollouts.plans.checking import shape_problems
from rollouts.plans.templates import template_problems
from rollouts.policies import Policy

from .errors import Path, Problem

# As the services keep them: field, and how many characters it may have at most.
_LINES = {"name": 120, "title": 200}
_PROSE = {"description": 4000, "reason": 4000}


def fact_problems(manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that is wrong with what a manifest says, by itself."""
    for key, flag in manifest.get("flags", {}).items():
        yield from _flag_problems(("flags", key), flag)
    for key, template in manifest.get("plan_templates", {}).items():
        place = ("plan_templates", key)
        yield from _texts(place, template)
        definition = plans.from_json(template["definition"])
        yield from _within((*place, "definition"), template_problems(definition))
    for key, environment in manifest.get("environments", {}).items():
        yield from _environment_problems(("environments", key), environment)


def _flag_problems(place: Path, flag: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _texts(place, flag)
    for number, tag in enumerate(flag.get("tags", ())):
        yield from _text((*place, "tags", number), tag, field="tag", longest=40, required=True)
    for number, link in enumerate(flag.get("links", ())):
        yield from _text((*place, "links", number), link, field="link", longest=500, required=True)
        if not link.strip().lower().startswith(("https://", "http://")):
            yield Problem((*place, "links", number), "A link starts with https:// or http:// and names a host.")


def _environment_problems(place: Path, environment: Mapping[str, Any]) -> Iterator[Problem]:
    if policy := environment.get("policy"):
        named = frozenset(policy["named_approvers"]) or None
        wanted = Policy(policy["required_approvals"], named, policy["expires_after_hours"])
        yield from _within((*place, "policy"), wanted.problems())
    for key, segment in environment.get("segments", {}).items():
        yield from _texts((*place, "segments", key), segment)
    for number, plan in enumerate(environment.get("plans", ())):
        yield from _texts((*place, "plans", number), plan)
        found = shape_problems(plans.from_json(plan["definition"]))
        yield from _within((*place, "plans", number, "definition"), found)
    for key, served in environment.get("flags", {}).items():
        if timeline := served.get("timeline"):
            path = (*place, "flags", key, "timeline")
            yield from _texts(path, timeline)
            yield from _within((*path, "definition"), schedule_problems(timelines.from_json(timeline["definition"])))


def _texts(place: Path, entry: Mapping[str, Any]) -> Iterator[Problem]:
    for field, longest in _LINES.items():
        if field in entry:
            yield from _text((*place, field), entry[field], field=field, longest=longest, required=True)
    for field, longest in _PROSE.items():
        if field in entry:
            yield from _text((*place, field), entry[field], field=field, longest=longest)


def _text(path: Path, text: str, *, field: str, longest: int, required: bool = False) -> Iterator[Problem]:
    try:
        checked_text(text, field=field, longest=longest, required=required)
    except InvalidInput as error:
        yield Problem(path, error.message)


def _within(place: Path, problems: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> Iterator[Problem]:
    """Problems told by dotted paths, such as `stages.0.name`, at their places in the manifest."""
    for path, message in problems:
        parts = [int(part) if part.isdigit() else part for part in path.split(".") if part]
        yield Problem((*place, *parts), message)
