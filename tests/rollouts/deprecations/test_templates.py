"""The built-in templates: one for each kind of flag, none of which anybody has to mend before it can be used."""

from datetime import date

import pytest

from flags.documents import initial_document
from flags.models.flags import FlagKind
from rollouts.deprecations.checking import problems_of
from rollouts.deprecations.definition import MilestoneKind
from rollouts.deprecations.gating import least_rest
from rollouts.deprecations.schedules import fill
from rollouts.deprecations.templates import BUILT_IN, TimelineTemplate, template_for

EACH = pytest.mark.parametrize("template", BUILT_IN, ids=[template.key for template in BUILT_IN])


@EACH
def test_template__filled__has_no_problem(template: TimelineTemplate) -> None:
    found = fill(template, flag_key="old", starts_on=date(2026, 3, 2), zone="Europe/Berlin", final_variant="off")

    assert problems_of(found, initial_document("old", "boolean")) == []
    assert (found.flag_key, found.final_variant, found.zone) == ("old", "off", "Europe/Berlin")


@EACH
def test_template__every_distance__is_whole_weeks_and_the_archive_waits_for_nobody_being_left(
    template: TimelineTemplate,
) -> None:
    found = fill(template, flag_key="old", starts_on=date(2026, 3, 2), zone="UTC")

    assert {step.after_days % 7 for step in template.steps} == {0}
    assert template.steps[-1].gates.residual_at_most == 0
    assert all(least_rest(found, number, number - 1).days >= 1 for number in range(2, len(found.milestones) + 1))


@pytest.mark.parametrize("kind", FlagKind.values)
def test_template_for__flag_kind__is_one_of_its_own(kind: str) -> None:
    assert [template for template in BUILT_IN if kind in template.kinds] == [template_for(kind)]


def test_template_for__unknown_kind__is_the_first() -> None:
    assert template_for("?") is BUILT_IN[0]


def test_template__kill_switch__takes_nothing_from_a_share_of_people() -> None:
    kinds = {step.kind for step in template_for(FlagKind.KILL_SWITCH).steps}

    assert MilestoneKind.RAMP_DOWN not in kinds
    assert MilestoneKind.BROWNOUT in kinds
