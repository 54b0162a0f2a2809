"""One flag in one environment, as the pages about it need it: the rows, the versions, who made them."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.http import Http404

from audits.actions import Action
from audits.models import AuditEvent
from audits.selectors import timeline_of
from flags.documents import initial_document
from flags.models import Environment, Flag, FlagConfig
from flags.permissions import visible_environments


@dataclass(frozen=True, slots=True)
class Place:
    """A flag, an environment, and what is served there now; no config while it is not set up."""

    flag: Flag
    environment: Environment
    config: FlagConfig | None

    @property
    def version(self) -> int:
        """The current version; 0 while nothing was ever applied."""
        return self.config.version if self.config else 0

    @property
    def document(self) -> dict[str, Any] | None:
        """What is served now."""
        return self.config.document if self.config else None

    def starting_document(self, user: AbstractUser) -> dict[str, Any]:
        """What the editor starts with: what is served now, else everything off with the variants used elsewhere."""
        if self.config:
            return dict(self.config.document)
        configs = FlagConfig.objects.filter(flag=self.flag, environment__in=visible_environments(user))
        elsewhere = configs.order_by("-updated_at").first()
        variants = elsewhere.document["variants"] if elsewhere else None
        return initial_document(self.flag.key, self.flag.value_type, variants)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a config: who made it, when and why. `request_id` names the change request it came from."""

    number: int
    changed_at: datetime
    person: str
    reason: str
    sentences: tuple[str, ...] = ()
    request_id: str = ""
    revision: int | None = None

    @property
    def previous(self) -> int:
        """The version before; 0 for the first."""
        return self.number - 1


def find_place(user: AbstractUser, flag_id: uuid.UUID, environment_id: uuid.UUID) -> Place:
    """The flag in the environment. Raises Http404 for what does not exist and for what this person may not see."""
    environment = visible_environments(user).select_related("project").filter(pk=environment_id).first()
    flag = Flag.objects.select_related("project").filter(pk=flag_id).first()
    if environment is None or flag is None or flag.project_id != environment.project_id:
        raise Http404
    config = FlagConfig.objects.filter(flag=flag, environment=environment).first()
    return Place(flag, environment, config)


def versions_of(config: FlagConfig) -> list[Version]:
    """Every version of a config, newest first, with what it changed: four queries."""
    told = {number: event for event in _applied_events(config) if (number := event.details.get("to_version"))}
    rows = config.history.defer("document").select_related("history_user").order_by("-version")
    return [_version(row, told.get(row.version)) for row in rows]


def document_at(config: FlagConfig, version: int) -> dict[str, Any] | None:
    """The document of one version, None where there is no such version."""
    row = config.history.filter(version=version).first()
    return None if row is None else dict(row.document)


def as_text(document: object) -> str:
    """A document as the editor's JSON view shows it."""
    return json.dumps(document, ensure_ascii=False, indent=2)


def _applied_events(config: FlagConfig) -> list[AuditEvent]:
    events = timeline_of("flag_config", config.pk)
    return [event for event in events if event.action == Action.FLAG_CONFIG_APPLIED.value]


def _version(row: Any, event: AuditEvent | None) -> Version:
    details: Mapping[str, Any] = event.details if event else {}
    person = row.history_user
    name = (person.get_full_name() or person.get_username()) if person else ""
    return Version(
        row.version,
        row.history_date,
        name or _actor_words(row.actor_kind),
        row.history_change_reason or "",
        tuple(details.get("differences", ())),
        str(details.get("request_id", "")),
        details.get("revision"),
    )


def _actor_words(kind: str) -> str:
    return "the schedule" if kind == "system" else "somebody"
