"""Two versions side by side: of one environment, or of two."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractUser

from flags.admin.places import Place
from flags.admin.posted import version_number
from flags.changes import Difference, diff_configs, diff_segments
from flags.errors import PayloadArchived
from flags.models import Environment, FlagConfig, Segment
from flags.permissions import visible_environments
from flags.selectors.versions import document_at, numbers_in
from flags.showing import diff_rows, json_blocks


@dataclass(frozen=True, slots=True)
class Side:
    """One version in one environment. `value` is how an address names it: `4` here, `staging:4` elsewhere."""

    environment: Environment
    number: int
    is_here: bool

    @property
    def value(self) -> str:
        """The side as an address names it."""
        return str(self.number) if self.is_here else f"{self.environment.key}:{self.number}"

    @property
    def words(self) -> str:
        """The side as people say it."""
        return f"version {self.number}" if self.is_here else f"{self.environment.name} version {self.number}"


@dataclass(frozen=True, slots=True)
class Choices:
    """Every version that can be chosen, by environment, the page's own first."""

    here: Environment
    groups: tuple[tuple[Environment, tuple[Side, ...]], ...]

    def named(self, value: str) -> Side | None:
        """The side an address names; None for one that does not exist or that the person may not see."""
        key, _, number = value.rpartition(":")
        wanted = key or self.here.key, version_number(number)
        sides = (side for _, group in self.groups for side in group)
        return next((side for side in sides if (side.environment.key, side.number) == wanted), None)


def choices_for(place: Place, user: AbstractUser) -> Choices:
    """The versions of a flag in every environment of its project that the person may look at: two queries."""
    environments = list(visible_environments(user).filter(project=place.flag.project_id).order_by("position", "key"))
    environments.sort(key=lambda one: one.pk != place.environment.pk)
    numbers = numbers_in(place.flag, environments)
    groups = [(one, _sides(one, numbers, is_here=one.pk == place.environment.pk)) for one in environments]
    return Choices(place.environment, tuple(group for group in groups if group[1]))


def _sides(environment: Environment, numbers: Mapping[UUID, list[int]], *, is_here: bool) -> tuple[Side, ...]:
    return tuple(Side(environment, number, is_here) for number in numbers.get(environment.pk, []))


def chosen_sides(choices: Choices, before: str, after: str) -> tuple[Side, Side] | None:
    """The two sides asked for where both exist, else the last two versions here."""
    sides = choices.named(before), choices.named(after)
    if sides[0] is not None and sides[1] is not None:
        return sides[0], sides[1]
    own = [side for environment, group in choices.groups for side in group if environment.pk == choices.here.pk]
    return (own[1], own[0]) if len(own) > 1 else None


def compared_sides(flag_id: UUID, sides: tuple[Side, Side] | None) -> dict[str, Any]:
    """The difference between two versions of a flag, for the page: three queries."""
    if sides is None:
        return {"chosen": None}
    environments = [side.environment.pk for side in sides]
    configs = {
        row.environment_id: row
        for row in FlagConfig.objects.select_related("flag").filter(flag=flag_id, environment__in=environments)
    }
    try:
        before, after = (document_at(configs[side.environment.pk], side.number) for side in sides)
    except PayloadArchived as gone:
        return {"chosen": sides, "gone": gone.message}
    if before is None or after is None:
        return {"chosen": None}
    return {"chosen": sides, **_shown(diff_configs(before, after), before, after)}


def compared_versions(segment: Segment, numbers: tuple[int, int] | None) -> dict[str, Any]:
    """The difference between two versions of a segment, for the page: two queries."""
    if numbers is None:
        return {"chosen": None}
    sides = tuple(Side(segment.environment, number, is_here=True) for number in numbers)
    try:
        before, after = (document_at(segment, number) for number in numbers)
    except PayloadArchived as gone:
        return {"chosen": sides, "gone": gone.message}
    if before is None or after is None:
        return {"chosen": None}
    return {"chosen": sides, **_shown(diff_segments(before, after), before, after, is_flag=False)}


def _shown(
    differences: list[Difference], before: dict[str, Any], after: dict[str, Any], *, is_flag: bool = True
) -> dict[str, Any]:
    documents = (before, after) if is_flag else ()
    return {"rows": diff_rows(differences, *documents), "blocks": json_blocks(before, after)}
