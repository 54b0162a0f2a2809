"""A config document as a list of decisions, in the order in which they are taken."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from audits.integrity import canonical_json
from flags.evaluation.deprecations import WITHDRAWAL_WEIGHT, deprecation_of, is_archived
from flags.evaluation.flags import window_of
from flags.evaluation.splits import TARGETING_KEY

from .answers import CODE_DEFAULT, Answer, Serve
from .kinds import Document

Condition = Mapping[str, Any] | None
# A group without members, which nobody meets.
NOBODY: Mapping[str, Any] = {"or": []}

_EVER = datetime.min.replace(tzinfo=UTC)
_FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Decision:
    """Who gets what, and when. The last one is for everyone: the default variant, which has no number."""

    condition: Condition
    serve: Serve
    starts_at: datetime = _EVER
    ends_at: datetime = _FOREVER
    number: int | None = None
    identity: str = ""

    @property
    def is_final(self) -> bool:
        """Whether nobody ever gets past it."""
        return self.condition is None and self.starts_at == _EVER and self.ends_at == _FOREVER


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Who gets an answer before anything else is asked: the first buckets of a salt, until an instant."""

    answer: Answer
    weight: int
    salt: str
    until: datetime

    @property
    def is_for_everyone(self) -> bool:
        """Whether those without a targeting key are withdrawn too."""
        return self.weight >= WITHDRAWAL_WEIGHT

    @property
    def is_for_good(self) -> bool:
        """Whether nobody ever gets past it."""
        return self.is_for_everyone and self.until == _FOREVER

    def covers(self, other: "Withdrawn") -> bool:
        """Whether everybody whom the other one withdraws is withdrawn by this one too, as long."""
        if self.until < other.until:
            return False
        return self.is_for_everyone or (self.weight >= other.weight and self.salt == other.salt)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a flag decides, as far as it gets: switched off, it decides nothing."""

    off: Answer
    decisions: tuple[Decision, ...]
    targets: Mapping[str, Answer] = field(default_factory=dict)
    parents: Mapping[str, frozenset[str]] = field(default_factory=dict)
    off_variants: frozenset[str] = frozenset()
    is_visible: bool = False
    withdrawn: Withdrawn | None = None

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Every answer that its decisions can give, individual targets aside."""
        return tuple(dict.fromkeys(answer for decision in self.decisions for answer in decision.serve.answers))

    @property
    def every_answer(self) -> tuple[Answer, ...]:
        """Every answer it can give to somebody who meets its prerequisites."""
        return tuple(dict.fromkeys([*self.answers, *self.targets.values()]))

    @property
    def share(self) -> int:
        """The largest weight that one decision gives to answers other than off."""
        return max(
            sum(weight for answer, weight in decision.serve.shares if answer.value != self.off.value)
            for decision in self.decisions
        )


NOT_SET_UP = Reading(CODE_DEFAULT, (Decision(None, Serve(((CODE_DEFAULT, 100_000),))),))


def read(document: Document | None, *, is_circular: bool, condition_of: Callable[[Condition], Condition]) -> Reading:
    """The decisions of a valid document; None is a flag that is not set up. A flag in a circle counts as switched off,
    an archived one gives everybody the code default, and nothing is decided behind a withdrawal for everyone and ever.

    `condition_of` gives a condition in the words of one common set of segments.
    """
    if document is None:
        return NOT_SET_UP
    answers = _Answers(document)
    off = answers.of(document["off_variant"])
    found = Reading(
        off,
        (Decision(None, _whole(off)),),
        off_variants=frozenset(name for name in answers.names if answers.of(name).value == off.value),
        is_visible=document.get("client_visible") is True,
    )
    if is_archived(document):
        return replace(found, decisions=(Decision(None, _whole(CODE_DEFAULT)),), is_visible=False)
    if document["enabled"] is not True:
        return found
    withdrawn = _withdrawn(document, answers)
    if withdrawn is not None and withdrawn.is_for_good:
        return replace(found, decisions=(Decision(None, _whole(withdrawn.answer)),))
    if is_circular:
        return replace(found, withdrawn=withdrawn)
    return Reading(
        off,
        _decisions(document, answers, condition_of),
        _targets(document, answers),
        {item["flag"]: frozenset(item["variants"]) for item in document.get("prerequisites") or ()},
        found.off_variants,
        found.is_visible,
        withdrawn,
    )


class _Answers:
    """The answers of one document by the name of the variant."""

    def __init__(self, document: Document) -> None:
        self._values = {item["name"]: canonical_json(item["value"]).decode() for item in document["variants"]}
        self.names = tuple(self._values)

    def of(self, variant: str | None) -> Answer:
        return CODE_DEFAULT if variant is None else Answer(variant, self._values[variant])


def _whole(answer: Answer) -> Serve:
    return Serve(((answer, 100_000),))


def _withdrawn(document: Document, answers: _Answers) -> Withdrawn | None:
    deprecation = deprecation_of(document)
    found = deprecation.withdrawal if deprecation else None
    if found is None:
        return None
    return Withdrawn(answers.of(found.serves), found.weight, document["salt"], found.until or _FOREVER)


def _targets(document: Document, answers: _Answers) -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    for item in document.get("targets") or ():
        for key in item["keys"]:
            found.setdefault(key, answers.of(item["variant"]))
    return found


def _decisions(
    document: Document, answers: _Answers, condition_of: Callable[[Condition], Condition]
) -> tuple[Decision, ...]:
    found: list[Decision] = []
    for number, rule in enumerate(document["rules"], start=1):
        condition = condition_of(rule["condition"])
        starts_at, ends_at = window_of(rule)
        identity = "" if condition is None else canonical_json(condition).decode()
        decision = Decision(condition, _serve(rule, document, answers), starts_at, ends_at, number, identity)
        found.append(decision)
        if decision.is_final:
            return tuple(found)
    return (*found, Decision(None, _whole(answers.of(document["default_variant"]))))


def _serve(rule: Mapping[str, Any], document: Document, answers: _Answers) -> Serve:
    serve = rule["serve"]
    if "variant" in serve:
        return _whole(answers.of(serve["variant"]))
    attribute = rule.get("bucket_by", TARGETING_KEY)
    default = answers.of(document["default_variant"])
    shares = tuple((answers.of(share["variant"]), share["weight"]) for share in serve["split"])
    if sum(weight for _, weight in shares) < 1:
        return _whole(default)
    unbucketed = default._replace(is_unkeyed=attribute == TARGETING_KEY)
    return Serve(shares, (attribute, rule.get("salt", document["salt"])), unbucketed)
