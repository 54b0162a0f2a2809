"""The kinds of settings that a second person confirms, each with a handler. Apps register theirs when they are loaded.

A kind says what the setting is now, what a change means in words, whether it could make something protected less
strict, and writes it through its own service, which checks the authority once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from audits.context import Actor
from flags.models import Environment, Project
from flags.settings_authority import SettingChange, SettingsAuthority


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a setting belongs: one environment, or the whole project. `subject` names one of several, such as rules."""

    project: Project
    environment: Environment | None = None
    subject: str = ""

    @classmethod
    def of_environment(cls, environment: Environment, subject: str = "") -> "Scope":
        """A setting of one environment."""
        return cls(environment.project, environment, subject)

    @property
    def name(self) -> str:
        """The place in words."""
        return self.environment.name if self.environment else self.project.name

    def change(self, kind: str, before: Any, after: Any) -> SettingChange:
        """The change as authorities judge it."""
        return SettingChange(
            kind=kind,
            project_id=str(self.project.pk),
            environment_id=str(self.environment.pk) if self.environment else "",
            subject=self.subject,
            before=before,
            after=after,
        )


class SettingsKind(Protocol):
    """One kind of setting. Values are plain JSON; None stands for a thing that is not there."""

    @property
    def name(self) -> str:
        """The name under which proposals are stored; once used it keeps its meaning."""

    def read(self, scope: Scope) -> Any:
        """The setting as it is now."""

    def clean(self, scope: Scope, after: Any) -> Any:
        """The wanted setting in normal form. Raises InvalidInput."""

    def is_looser(self, before: Any, after: Any) -> bool:
        """Whether the change could make something less strict. Where it cannot be shown that it does not: True."""

    def title(self, scope: Scope, before: Any, after: Any) -> str:
        """The change in a few words, such as “Stop protecting Production”."""

    def describe(self, scope: Scope, before: Any, after: Any) -> Sequence[str]:
        """The change in sentences: what is different then, and what follows from it."""

    def apply(
        self, scope: Scope, after: Any, *, actor: Actor, authority: SettingsAuthority, now: datetime, reason: str
    ) -> None:
        """Write the setting through its service."""


_kinds: dict[str, SettingsKind] = {}


def register_kind(kind: SettingsKind) -> None:
    """Know `kind` from now on; one of the same name is replaced."""
    _kinds[kind.name] = kind


def kind_named(name: str) -> SettingsKind:
    """The kind of that name. Raises KeyError for one that nobody registered."""
    return _kinds[name]


def kind_names() -> frozenset[str]:
    """The names of all kinds."""
    return frozenset(_kinds)
