"""The linter with what it has to know about an environment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.documents.lint import AttributeFacts, Finding, attributes_used, lint_config, lint_segment
from flags.models import ContextAttribute, Environment, Flag, FlagConfig, Segment

Documents = dict[str, Mapping[str, Any]]


def findings_for(flag: Flag, environment: Environment, document: Mapping[str, Any], *, now: datetime) -> list[Finding]:
    """What the linter says about a valid, normalised document for a flag in an environment: three queries, or five.

    The other two look through the project's other environments for an attribute that is unknown in this one.
    """
    return _Facts.of(environment, {flag.key: document}, {}).config(flag.key, flag.kind, now)


def findings_for_segment(
    key: str, environment: Environment, document: Mapping[str, Any], *, now: datetime
) -> list[Finding]:
    """The same for a segment document."""
    return _Facts.of(environment, {}, {key: document}).segment(key, now)


def findings_for_change_set(
    change_set: ChangeSet, environment: Environment, *, now: datetime
) -> list[tuple[ConfigEdit | SegmentEdit, list[Finding]]]:
    """What the linter says about each edit of a valid change set, given all the others. Silence is left out.

    Four queries, or six; however many edits there are.
    """
    configs: Documents = {edit.flag_key: edit.document for edit in change_set.edits if isinstance(edit, ConfigEdit)}
    segments: Documents = {
        edit.segment_key: edit.document for edit in change_set.edits if isinstance(edit, SegmentEdit)
    }
    facts = _Facts.of(environment, configs, segments)
    flags = Flag.objects.filter(project=environment.project_id, key__in=configs)
    kinds = dict(flags.values_list("key", "kind")) if configs else {}
    told: Sequence[tuple[ConfigEdit | SegmentEdit, list[Finding]]] = [
        (
            edit,
            facts.config(edit.flag_key, kinds.get(edit.flag_key, ""), now)
            if isinstance(edit, ConfigEdit)
            else facts.segment(edit.segment_key, now),
        )
        for edit in change_set.edits
    ]
    return [(edit, found) for edit, found in told if found]


@dataclass(slots=True)
class _Facts:
    """The documents of an environment as they will be, and which flags and segments use an attribute."""

    configs: Documents
    segments: Documents
    attributes: dict[str, AttributeFacts]
    users: dict[str, set[tuple[str, str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, environment: Environment, configs: Documents, segments: Documents) -> "_Facts":
        """What is stored, with the given documents in place of theirs."""
        present = FlagConfig.objects.filter(environment=environment).values_list("flag__key", "document")
        audiences = Segment.objects.filter(environment=environment).values_list("key", "document")
        declared = ContextAttribute.objects.filter(project=environment.project_id)
        facts = cls(
            {**dict(present), **configs},
            {**dict(audiences), **segments},
            {item.name: AttributeFacts(item.value_type, item.grants_access) for item in declared},
        )
        facts._note("flag", facts.configs)
        facts._note("segment", facts.segments)
        edited = [(("flag", key), document) for key, document in configs.items()]
        edited += [(("segment", key), document) for key, document in segments.items()]
        if any(attributes_used(document) - facts._known(user) - facts.attributes.keys() for user, document in edited):
            facts._look_elsewhere(environment)
        return facts

    def _note(self, kind: str, documents: Documents) -> None:
        for key, document in documents.items():
            for name in attributes_used(document):
                self.users.setdefault(name, set()).add((kind, key))

    def _look_elsewhere(self, environment: Environment) -> None:
        others = Environment.objects.filter(project=environment.project_id).exclude(pk=environment.pk)
        for key, document in FlagConfig.objects.filter(environment__in=others).values_list("flag__key", "document"):
            self._note("flag", {key: document})
        for key, document in Segment.objects.filter(environment__in=others).values_list("key", "document"):
            self._note("segment", {key: document})

    def _known(self, user: tuple[str, str]) -> set[str]:
        """The attributes that others than this flag or segment use: a slip is no less one for being made twice."""
        return {name for name, users in self.users.items() if users - {user}}

    def config(self, key: str, kind: str, now: datetime) -> list[Finding]:
        """The findings about one config."""
        return lint_config(
            self.configs[key],
            flag_key=key,
            flag_kind=kind,
            segments=self.segments,
            configs=self.configs,
            attributes=self.attributes,
            known_attributes=self._known(("flag", key)),
            now=now,
        )

    def segment(self, key: str, now: datetime) -> list[Finding]:
        """The findings about one segment."""
        return lint_segment(
            self.segments[key],
            segments=self.segments,
            attributes=self.attributes,
            known_attributes=self._known(("segment", key)),
            now=now,
        )
