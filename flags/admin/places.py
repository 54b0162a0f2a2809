"""One flag in one environment, as the pages about it need it."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.http import Http404

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


def find_place(user: AbstractUser, flag_id: uuid.UUID, environment_id: uuid.UUID) -> Place:
    """The flag in the environment. Raises Http404 for what does not exist and for what this person may not see."""
    environment = visible_environments(user).select_related("project").filter(pk=environment_id).first()
    flag = Flag.objects.select_related("project").filter(pk=flag_id).first()
    if environment is None or flag is None or flag.project_id != environment.project_id:
        raise Http404
    config = FlagConfig.objects.filter(flag=flag, environment=environment).first()
    return Place(flag, environment, config)


def as_text(document: object) -> str:
    """A document as the editor's JSON view shows it."""
    return json.dumps(document, ensure_ascii=False, indent=2)
