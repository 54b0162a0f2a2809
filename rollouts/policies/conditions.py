"""The conditions of rules: each a small predicate over facts that says True, False or None for “not known”.

All conditions of a rule must hold for it to apply. What is not known counts as if it held, and the finding says so:
else a rule could be escaped by keeping a fact away from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any

from rollouts.impact.populations import MAX_SIZE
from rollouts.policies.facts import Facts, FlagFacts
from rollouts.policies.parameters import Form, Parameter, Params, Wider, clock, zone

DAYS = (("mon", "Mon"), ("tue", "Tue"), ("wed", "Wed"), ("thu", "Thu"), ("fri", "Fri"), ("sat", "Sat"), ("sun", "Sun"))
ENVIRONMENT_KINDS = (("development", "Development"), ("staging", "Staging"), ("production", "Production"))
FLAG_KINDS = (
    ("release", "Release"),
    ("experiment", "Experiment"),
    ("operational", "Operational"),
    ("kill_switch", "Kill switch"),
    ("permission", "Permission"),
)
DIRECTIONS = (("widens", "Widens exposure"), ("narrows", "Narrows exposure"), ("neutral", "Moves nobody"))
SEVERITIES = (("warning", "Warning"), ("note", "Note"))
PERCENT = 1_000


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of condition. `words` continues the sentence “When a change …”; `unknown` says what is not known."""

    name: str
    label: str
    holds: Callable[[Facts, Params], bool | None]
    words: Callable[[Params], str]
    parameters: tuple[Parameter, ...] = ()
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule."""

    kind: str
    params: Mapping[str, Any]

    def holds(self, facts: Facts) -> bool | None:
        """Whether it holds; None where the facts do not say."""
        return KINDS[self.kind].holds(facts, self.params)

    @property
    def words(self) -> str:
        """What it asks, as the continuation of “When a change …”."""
        return KINDS[self.kind].words(self.params)

    @property
    def unknown(self) -> str:
        """What was not known where `holds` answered None."""
        return KINDS[self.kind].unknown

    def is_at_least_as_wide(self, other: "Condition") -> bool:
        """Whether it certainly holds wherever `other` does."""
        return self.kind == other.kind and all(
            parameter.is_at_least_as_wide(self.params[parameter.name], other.params[parameter.name])
            for parameter in KINDS[self.kind].parameters
        )

    def as_json(self) -> dict[str, Any]:
        """The stored form."""
        return {"kind": self.kind, **self.params}


def _any_flag(facts: Facts, wanted: Callable[[FlagFacts], bool]) -> bool:
    return any(wanted(flag) for flag in facts.flags)


def _at_least(known: int | None, wanted: int) -> bool | None:
    return None if known is None else known >= wanted


def _flips(facts: Facts, params: Params) -> bool | None:
    """Not known where fewer were asked than would have to flip."""
    if facts.flipped is None or facts.flipped >= params["at_least"]:
        return _at_least(facts.flipped, params["at_least"])
    return None if (facts.population or 0) < params["at_least"] else False


def _flips_share(facts: Facts, params: Params) -> bool | None:
    if facts.flipped is None or not facts.population:
        return None
    return bool(facts.flipped * 100 >= params["at_least"] * facts.population)


def _lint(facts: Facts, params: Params) -> bool | None:
    if facts.lint is None:
        return None
    codes = params["codes"]
    return any(fact.severity in params["severities"] and (not codes or fact.code in codes) for fact in facts.lint)


def _segments(facts: Facts, params: Params) -> bool:
    keys = params["keys"]
    return any(not keys or key in keys for key in facts.segments)


def _soak(facts: Facts, params: Params) -> bool | None:
    return None if facts.soak_hours is None else facts.soak_hours < params["hours"]


def _flapping(facts: Facts, params: Params) -> bool | None:
    since = facts.at - timedelta(hours=params["hours"])
    if any(flag.applied_at is None for flag in facts.flags):
        return None
    return _any_flag(
        facts, lambda flag: sum(since < moment <= facts.at for moment in flag.applied_at or ()) >= params["count"]
    )


def _time_of_day(facts: Facts, params: Params) -> bool:
    """Half-open from `starts` to `ends` by the clock on the wall; a window over midnight belongs to its first day."""
    local = facts.at.astimezone(zone(params["zone"]))
    starts, ends = clock(params["starts"]), clock(params["ends"])
    now = time(local.hour, local.minute, local.second)
    days = params["days"] or [name for name, _ in DAYS]
    today = DAYS[local.weekday()][0] in days
    if starts < ends:
        return today and starts <= now < ends
    yesterday = DAYS[local.weekday() - 1][0] in days
    return (today and now >= starts) or (yesterday and now < ends)


def _time_words(params: Params) -> str:
    names = dict(DAYS)
    days = [names[day] for day in params["days"]]
    on = f" on {_or(days)}" if days else ""
    return f"goes live between {params['starts']} and {params['ends']} ({params['zone']}){on}"


def _lint_words(params: Params) -> str:
    what = _or([f"{severity}s" for severity in params["severities"]])
    return f"has {what} of the linter" + (f" ({', '.join(params['codes'])})" if params["codes"] else "")


def _or(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _labels(choices: tuple[tuple[str, str], ...], values: list[str]) -> str:
    labels = dict(choices)
    return _or([labels[value].lower() for value in values])


def _quoted(words: list[str]) -> str:
    return _or([f"“{word}”" for word in words])


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _choices(
    name: str, label: str, choices: tuple[tuple[str, str], ...], *, is_optional: bool = False, default: Any = None
) -> Parameter:
    return Parameter(name, label, Form.CHOICES, Wider.MORE, choices, is_optional=is_optional, default=default or [])


def _whole(name: str, label: str, default: int, highest: int, unit: str, wider: Wider = Wider.LOWER) -> Parameter:
    return Parameter(name, label, Form.WHOLE, wider, highest=highest, unit=unit, default=default)


_ALL = (
    Kind(
        "environment_kind",
        "The environment is of the kind",
        lambda facts, params: facts.environment_kind in params["kinds"],
        lambda params: f"is for {_labels(ENVIRONMENT_KINDS, params['kinds'])}",
        (_choices("kinds", "Kinds", ENVIRONMENT_KINDS),),
    ),
    Kind(
        "environment_key",
        "The environment has the key",
        lambda facts, params: facts.environment_key in params["keys"],
        lambda params: f"is for the environment {_quoted(params['keys'])}",
        (Parameter("keys", "Keys", Form.WORDS, Wider.MORE, default=[]),),
    ),
    Kind(
        "direction",
        "What it does to exposure",
        lambda facts, params: None if facts.direction is None else facts.direction in params["directions"],
        lambda params: _labels(DIRECTIONS, params["directions"]),
        (_choices("directions", "Directions", DIRECTIONS, default=["widens"]),),
        "whether it widens exposure",
    ),
    Kind(
        "jump",
        "A share rises by at least",
        lambda facts, params: _at_least(facts.jump, params["at_least"] * PERCENT),
        lambda params: f"raises a share by {_counted(params['at_least'], 'point')} or more",
        (_whole("at_least", "Points", 25, 100, "points"),),
        "by how much it raises a share",
    ),
    Kind(
        "reach",
        "A share reaches at least",
        lambda facts, params: _at_least(facts.reach, params["at_least"] * PERCENT),
        lambda params: f"brings a flag to {params['at_least']} % or more",
        (_whole("at_least", "Percent", 50, 100, "%"),),
        "which share it reaches",
    ),
    Kind(
        "flips",
        "At least so many people get another answer",
        _flips,
        lambda params: f"gives another answer to {params['at_least']:,} people or more",
        (_whole("at_least", "People", 1_000, MAX_SIZE, "people"),),
        "how many people get another answer, because no impact run that counts has asked so many",
    ),
    Kind(
        "flips_share",
        "At least such a part of people gets another answer",
        _flips_share,
        lambda params: f"gives another answer to {params['at_least']} % of people or more",
        (_whole("at_least", "Percent", 10, 100, "%"),),
        "which part of people gets another answer, because there is no impact run that counts",
    ),
    Kind(
        "no_impact_run",
        "Nobody has looked yet who will flip",
        lambda facts, params: facts.flipped is None,
        lambda params: "has no impact run that counts, over 1,000 people or more",
    ),
    Kind(
        "flag_kind",
        "It moves a flag of the kind",
        lambda facts, params: _any_flag(facts, lambda flag: not flag.kinds.isdisjoint(params["kinds"])),
        lambda params: f"moves a flag of the kind {_labels(FLAG_KINDS, params['kinds'])}",
        (_choices("kinds", "Kinds", FLAG_KINDS),),
    ),
    Kind(
        "tags",
        "It moves a flag with the tag",
        lambda facts, params: _any_flag(facts, lambda flag: bool(set(flag.tags) & set(params["tags"]))),
        lambda params: f"moves a flag tagged {_quoted(params['tags'])}",
        (Parameter("tags", "Tags", Form.WORDS, Wider.MORE, default=[]),),
    ),
    Kind(
        "client_visible",
        "It moves a flag that clients see",
        lambda facts, params: _any_flag(facts, lambda flag: flag.is_client_visible),
        lambda params: "moves a flag that clients see",
    ),
    Kind(
        "segment",
        "It edits a segment",
        _segments,
        lambda params: f"edits the segment {_quoted(params['keys'])}" if params["keys"] else "edits a segment",
        (Parameter("keys", "Only these keys", Form.WORDS, Wider.MORE, default=[], is_optional=True),),
    ),
    Kind(
        "prerequisite",
        "It touches prerequisites",
        lambda facts, params: _any_flag(facts, lambda flag: flag.changes_prerequisites or flag.dependents > 0),
        lambda params: "changes prerequisites or a flag that others need",
    ),
    Kind(
        "many_flags",
        "It moves at least so many flags",
        lambda facts, params: len(facts.flags) >= params["at_least"],
        lambda params: f"moves {_counted(params['at_least'], 'flag')} or more",
        (_whole("at_least", "Flags", 5, 1_000, "flags"),),
    ),
    Kind(
        "lint",
        "The linter has something to say",
        _lint,
        _lint_words,
        (
            _choices("severities", "Severity", SEVERITIES, default=["warning"]),
            Parameter("codes", "Only these codes", Form.WORDS, Wider.MORE, default=[], is_optional=True),
        ),
        "what the linter says",
    ),
    Kind(
        "no_ticket",
        "It names no ticket",
        lambda facts, params: None if facts.ticket_url is None else not facts.ticket_url,
        lambda params: "names no ticket",
        (),
        "whether it names a ticket",
    ),
    Kind(
        "short_soak",
        "Too short live in the environment before",
        _soak,
        lambda params: f"was live for less than {_counted(params['hours'], 'hour')} in the environment before",
        (_whole("hours", "Hours", 24, 8_784, "hours", Wider.HIGHER),),
        "how long it was live in the environment before",
    ),
    Kind(
        "time_of_day",
        "It goes live at a time of day",
        _time_of_day,
        _time_words,
        (
            Parameter("starts", "From", Form.CLOCK, default="18:00"),
            Parameter("ends", "Until", Form.CLOCK, default="08:00"),
            Parameter("zone", "Time zone", Form.ZONE, default="UTC"),
            _choices("days", "Only on", DAYS, is_optional=True),
        ),
    ),
    Kind(
        "freeze",
        "A freeze is active",
        lambda facts, params: None if facts.freezes is None else bool(facts.freezes),
        lambda params: "falls into a freeze",
        (),
        "whether a freeze is active",
    ),
    Kind(
        "incident",
        "An incident is open",
        lambda facts, params: None if facts.incidents is None else bool(facts.incidents),
        lambda params: "comes while an incident is open",
        (),
        "whether an incident is open",
    ),
    Kind(
        "flapping",
        "A flag changed often of late",
        _flapping,
        lambda params: (
            f"moves a flag that changed {_counted(params['count'], 'time')} or more in the last "
            f"{_counted(params['hours'], 'hour')}"
        ),
        (
            _whole("count", "Times", 3, 50, "times"),
            _whole("hours", "Hours", 24, 720, "hours", Wider.HIGHER),
        ),
        "how often its flags changed of late",
    ),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}
