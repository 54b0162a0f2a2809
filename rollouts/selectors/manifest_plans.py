"""What applying a manifest would do: every difference, and which way it goes. Reads only."""

import hashlib
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from audits.context import Actor, ActorKind
from audits.integrity import canonical_json
from flags import permissions
from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.documents.deprecation import is_archived
from flags.errors import NotFound
from flags.models import Environment, Project
from rollouts.deprecations.transitions import LIVE_STATES as LIVE_TIMELINES
from rollouts.manifest.checking import normal_form, problems_of, segment_document
from rollouts.manifest.diffing import Difference, Kind, Subject, differences
from rollouts.manifest.reading import Reading
from rollouts.models import ChangeRequest, DeprecationTimeline, PlanFlag
from rollouts.policies import Policy, Rule, is_looser, stricter
from rollouts.selectors.manifest_people import unknown_people
from rollouts.selectors.manifests import Present, present_state
from rollouts.transitions import OPEN_STATES, RequestState

SOURCE_KIND = "manifest"
NEVER_CHANGE = ("value_type", "value_schema")
WATCHED = ("kind", "tags", "team")


class Way(StrEnum):
    """What becomes of a difference when the manifest is applied."""

    AT_ONCE = "at_once"
    REQUEST = "change_request"
    SECOND = "second_administrator"
    DRAFT = "draft"
    WAITS = "waits"
    NOT_POSSIBLE = "not_possible"
    NOT_APPLIED = "not_applied"


@dataclass(frozen=True, slots=True)
class Step:
    """A difference, which way it goes, and that in a sentence. `request` is the number of one that asks for it now."""

    difference: Difference
    way: Way
    sentence: str
    request: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The step as programs read it."""
        one = self.difference
        return {
            "address": one.address,
            "kind": one.kind.value,
            "subject": one.subject.value,
            "environment": one.environment,
            "sentences": list(one.sentences),
            "way": self.way.value,
            "sentence": self.sentence,
            "changeRequest": self.request,
        }


@dataclass(frozen=True, slots=True)
class ManifestPlan:
    """Everything that applying a manifest would do. `wanted` is the manifest in normal form, `digest` its SHA-256."""

    project: Project
    wanted: Mapping[str, Any]
    present: Present
    digest: str
    steps: tuple[Step, ...]

    @property
    def has_drifted(self) -> bool:
        """Whether anything is not as the manifest says, or is there and not in it."""
        return bool(self.steps)

    def as_json(self) -> dict[str, Any]:
        """The plan as programs read it."""
        return {
            "project": self.project.key,
            "digest": self.digest,
            "hasDrifted": self.has_drifted,
            "steps": [step.as_json() for step in self.steps],
        }

    def steps_about(self, *subjects: Subject, environment: str | None = None) -> list[Step]:
        """The steps of these subjects that are to be carried out, of one environment or of all."""
        return [
            step
            for step in self.steps
            if step.difference.subject in subjects
            and step.way not in (Way.NOT_APPLIED, Way.NOT_POSSIBLE, Way.WAITS)
            and environment in (None, step.difference.environment)
        ]


def plan_manifest(reading: Reading, *, actor: Actor, only: Collection[str] | None = None) -> ManifestPlan:
    """What applying a manifest would do. `only` are the keys of the environments it is about, None for all it names.

    Raises InvalidManifest naming lines, and NotFound for a project that does not exist.
    """
    project = Project.objects.filter(key=reading.manifest["project"]["key"]).first()
    if project is None:
        raise NotFound(f"There is no project “{reading.manifest['project']['key'][:60]}”. Create it first.")
    present = present_state(project)
    manifest = _narrowed(reading.manifest, only)
    reading.refuse([*problems_of(manifest, present.known), *unknown_people(manifest, present)])
    wanted = normal_form(manifest, present.known)
    found = differences(wanted, present.manifest, past=present.past)
    judge = _Judge(present, wanted, actor, found)
    steps = tuple(judge.step(one) for one in found)
    digest = hashlib.sha256(canonical_json(wanted)).hexdigest()
    return ManifestPlan(project, wanted, present, digest, steps)


def change_set_of(present: Present, wanted: Mapping[str, Any], steps: Collection[Step], place: str) -> ChangeSet | None:
    """The edits of the config and segment steps of one environment, segments first; None for none."""
    environment, entry = present.environments[place], wanted["environments"][place]
    edits: list[ConfigEdit | SegmentEdit] = []
    for step in steps:
        key = step.difference.key
        if step.difference.subject is Subject.SEGMENT:
            version = present.versions.get((place, "segment", key), 0)
            segment = entry["segments"][key]
            edits.append(SegmentEdit(key, segment["name"], version, segment_document(segment)))
        elif step.difference.subject is Subject.CONFIG:
            version = present.versions.get((place, "config", key), 0)
            edits.append(ConfigEdit(key, version, entry["flags"][key]["config"]))
    return ChangeSet(str(environment.pk), tuple(edits)) if edits else None


def content_digest(change_set: ChangeSet) -> str:
    """What tells the content of one request of a manifest from that of another: edits and what they are based on."""
    return hashlib.sha256(canonical_json(change_set.as_json())).hexdigest()


def pending_request(change_set: ChangeSet, actor: Actor) -> ChangeRequest | None:
    """The open request of a manifest that asks for exactly these edits now; of drafts only one that is the actor's own.

    One that was edited since asks for something else, whatever the manifest was.
    """
    rows = ChangeRequest.objects.filter(
        environment=uuid.UUID(change_set.environment_id),
        state__in=[state.value for state in OPEN_STATES],
        source__kind=SOURCE_KIND,
    )
    wanted = content_digest(change_set)
    for row in rows.select_related("environment").order_by("number"):
        is_open = row.current_state is not RequestState.DRAFT or list(row.contributors) == [actor.id]
        if is_open and content_digest(row.content) == wanted:
            return row
    return None


def _narrowed(manifest: Mapping[str, Any], only: Collection[str] | None) -> dict[str, Any]:
    if only is None:
        return dict(manifest)
    places = {key: entry for key, entry in manifest.get("environments", {}).items() if key in only}
    return {**manifest, "environments": places}


class _Judge:
    """Which way differences go, on facts that are read once."""

    def __init__(
        self, present: Present, wanted: Mapping[str, Any], actor: Actor, found: Collection[Difference]
    ) -> None:
        self.present, self.wanted, self.actor = present, wanted, actor
        self.held = _held(present)
        named = {one.environment for one in found if one.environment in present.environments}
        places = {key: present.environments[key] for key in named}
        everywhere = present.environments.values()
        # A token asks what would happen to a person who may do it; it may not apply anything itself.
        self.is_person = actor.kind is ActorKind.PERSON
        self.edits = {key: self._holds(permissions.PROPOSE, row) for key, row in places.items()}
        self.may_shape = any(self._holds(permissions.PROPOSE, row) for row in everywhere)
        self.unruled = self._not_administered([row for row in everywhere if row.is_guarded] or everywhere)
        self.pending = {key: self._pending(key, found) for key in places}

    def step(self, one: Difference) -> Step:
        """One difference with its way."""
        if one.kind is Kind.UNMANAGED:
            return Step(one, Way.NOT_APPLIED, "Not in the manifest: it stays as it is.")
        match one.subject:
            case Subject.PROJECT | Subject.ENVIRONMENT:
                return Step(one, Way.NOT_APPLIED, "Not applied by the manifest: an administrator changes it by hand.")
            case Subject.FLAG:
                return self._flag(one)
            case Subject.CONFIG | Subject.SEGMENT:
                return self._served(one)
            case Subject.POLICY:
                return self._policy(one)
            case Subject.RULE:
                return self._rule(one)
            case Subject.TEMPLATE:
                return self._if_editor(one, self.may_shape, Step(one, Way.AT_ONCE, "Saved as its next version."))
        word = f"Made a draft in {self._place(one).name}, which people start or propose."
        return self._if_editor(one, self.edits[one.environment], Step(one, Way.DRAFT, word))

    def _flag(self, one: Difference) -> Step:
        if one.name in NEVER_CHANGE:
            return Step(one, Way.NOT_POSSIBLE, "Type and schema of a flag never change: make a new flag instead.")
        if one.name not in WATCHED:
            return self._if_editor(one, self.may_shape, Step(one, Way.AT_ONCE, self._flag_words(one)))
        word = "Applied at once, unless the flag could then pass a rule or a freeze: that two administrators decide."
        if one.name == "team" or not self.may_shape:
            return self._if_administrator(one, self.unruled, Step(one, Way.AT_ONCE, word))
        return Step(one, Way.AT_ONCE, word)

    def _flag_words(self, one: Difference) -> str:
        team = self.wanted["flags"][one.key].get("team") if one.kind is Kind.NEW else None
        if team and self.unruled:
            return f"Applied at once, without its team: that takes the role administrator in {self.unruled[0]}."
        return "Applied at once."

    def _served(self, one: Difference) -> Step:
        place = self._place(one)
        if one.subject is Subject.CONFIG and (one.environment, one.key) in self.held:
            return Step(one, Way.WAITS, self.held[one.environment, one.key])
        if not self.edits[one.environment]:
            return self._if_editor(one, False, Step(one, Way.NOT_POSSIBLE, ""))
        if not self._is_asked_for(one):
            if str(place.unprotected_by_id) == self.actor.id:
                return Step(one, Way.NOT_POSSIBLE, f"You took the protection off {place.name}: somebody else edits it.")
            return Step(one, Way.AT_ONCE, f"Applied at once: {place.name} is not protected.")
        is_there = one.subject is Subject.SEGMENT or one.key in self.present.known.flags
        request = self.pending.get(one.environment) if is_there else None
        number = self.present.manifest["environments"][one.environment]["policy"]["required_approvals"]
        approvals = "1 approval" if number == 1 else f"{number} approvals"
        if request is not None:
            return Step(one, Way.REQUEST, f"#{request.number} asks for it already: {approvals}.", request.number)
        if not place.is_protected:
            return Step(one, Way.REQUEST, f"Asked for by a change request: archiving takes {approvals} here too.")
        return Step(
            one, Way.REQUEST, f"Asked for by a change request: {place.name} needs {approvals}, rules may ask more."
        )

    def _policy(self, one: Difference) -> Step:
        entry = self.wanted["environments"][one.environment]["policy"]
        before = _policy(self.present.manifest["environments"][one.environment]["policy"])
        after = _policy(entry)
        lacking = self._not_administered([self._place(one)])
        step = self._setting(one, self._place(one).is_guarded and stricter(before, after) != after)
        return self._if_administrator(one, lacking, step)

    def _rule(self, one: Difference) -> Step:
        before, after = (
            Rule.from_json(place["policy_rules"][one.key], key="", version=1)
            if one.key in place["policy_rules"]
            else None
            for place in (self.present.manifest, self.wanted)
        )
        guarded = any(place.is_guarded for place in self.present.environments.values())
        return self._if_administrator(one, self.unruled, self._setting(one, guarded and is_looser(before, after)))

    def _setting(self, one: Difference, is_looser: bool) -> Step:
        if is_looser:
            return Step(one, Way.SECOND, "Less strict: proposed, and a second administrator confirms it.")
        return Step(one, Way.AT_ONCE, "Applied at once, by an administrator: it is not less strict.")

    def _if_editor(self, one: Difference, is_editor: bool, step: Step) -> Step:
        if is_editor:
            return step
        where = self.present.environments[one.environment].name if one.environment else self.present.project.name
        return Step(one, Way.NOT_POSSIBLE, f"{self.actor.label} lacks the role editor in {where}.")

    def _if_administrator(self, one: Difference, lacking: Sequence[str], step: Step) -> Step:
        if not lacking:
            return step
        sentence = f"{self.actor.label} lacks the role administrator in {', '.join(lacking)}."
        return Step(one, Way.NOT_POSSIBLE, sentence)

    def _not_administered(self, places: Iterable[Environment]) -> list[str]:
        return [row.name for row in places if not self._holds(permissions.ADMINISTER, row)]

    def _place(self, one: Difference) -> Environment:
        return self.present.environments[one.environment]

    def _holds(self, permission: str, place: Environment) -> bool:
        return not self.is_person or permissions.holds(self.actor, permission, place)

    def _is_asked_for(self, one: Difference) -> bool:
        """Whether it goes by a change request: wherever that is protected, and where it archives a flag."""
        if self._place(one).is_protected or one.subject is Subject.SEGMENT:
            return self._place(one).is_protected
        before, after = (
            manifest["environments"][one.environment]["flags"].get(one.key, {}).get("config")
            for manifest in (self.present.manifest, self.wanted)
        )
        return is_archived(after) and not is_archived(before)

    def _pending(self, place: str, found: Collection[Difference]) -> ChangeRequest | None:
        served = [
            Step(one, Way.REQUEST, "")
            for one in found
            if one.environment == place
            and one.kind is not Kind.UNMANAGED
            and (one.subject is Subject.SEGMENT or one.subject is Subject.CONFIG)
            and (one.subject is Subject.SEGMENT or self._can_be_edited(one))
            and self._is_asked_for(one)
        ]
        change_set = change_set_of(self.present, self.wanted, served, place)
        return pending_request(change_set, self.actor) if change_set else None

    def _can_be_edited(self, one: Difference) -> bool:
        """Whether there is the flag of a config, and nothing at work on it."""
        return one.key in self.present.known.flags and (one.environment, one.key) not in self.held


def _policy(entry: Mapping[str, Any]) -> Policy:
    named = frozenset(entry["named_approvers"]) or None
    return Policy(entry["required_approvals"], named, entry["expires_after_hours"])


def _held(present: Present) -> dict[tuple[str, str], str]:
    """Why a flag cannot be written in an environment now: a plan or a timeline is at work on it."""
    places = present.environments.values()
    plans = PlanFlag.objects.filter(environment__in=places, is_live=True)
    held = {
        (place, key): f"Plan {number} works on it. Its config is applied once that has ended."
        for place, key, number in plans.values_list("environment__key", "flag__key", "plan__number")
    }
    timelines = DeprecationTimeline.objects.filter(
        environment__in=places, state__in=[state.value for state in LIVE_TIMELINES]
    )
    for place, key, number in timelines.values_list("environment__key", "flag__key", "number"):
        held[place, key] = f"Timeline {number} ends it. Its config is applied once that has ended."
    return held
