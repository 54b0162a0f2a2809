"""What environments serve differently, what explains it, and whose task it becomes."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audits.actions import Action
from audits.models import AuditEvent
from flags.aspects import Aspect
from flags.changes import document_digest
from flags.errors import InvalidInput, PermissionMissing
from flags.models import Environment, Flag, Segment
from flags.permissions import Role
from flags.services.flags import update_flag
from flags.services.tickets import governed_write
from rollouts.models import Drift, IntendedDifference
from rollouts.selectors.drift import Comparison, DriftState, compare, drift_for, drift_page, neighbours
from rollouts.selectors.drift_tasks import SHOWN, drift_tasks
from rollouts.services.differences import end_difference, intend_difference
from rollouts.services.drift import refresh_drift
from tests.factories import NOW, World, actor_of, percent_document
from tests.rollouts.test_promotion import chosen, promoted, serve

HOUR = timedelta(hours=1)
LATER = NOW + 73 * HOUR


@pytest.fixture
def apart(world: World) -> Flag:
    """A flag at 50 percent in development and staging and at 10 in production, since NOW."""
    flag = world.flag()
    world.serve(flag, world.production, percent_document(flag.key, 10))
    for environment in (world.development, world.staging):
        serve(world, environment, percent_document(flag.key, 50))
    return flag


def between(world: World, now: datetime, *pair: Environment) -> Comparison:
    """The first flag in staging and production, or in the pair."""
    [found] = compare(world.project, [pair or (world.staging, world.production)], now=now)[0]  # type: ignore[list-item]
    return found


def intend(world: World, flag: Flag, by: Any = None, **fields: Any) -> IntendedDifference:
    values: dict[str, Any] = {
        "aspects": ["rules"],
        "owner_id": world.vera.pk,
        "reason": "Staging is for everybody",
        "expires_at": NOW + timedelta(days=30),
        "now": NOW,
    }
    pair = fields.pop("pair", (world.production.pk, world.staging.pk))
    return intend_difference(flag.pk, pair, actor=actor_of(by or world.rita), **{**values, **fields})


def own(world: World, flag: Flag, owner: Any) -> None:
    flag.owner = owner
    update_flag(flag.pk, actor=actor_of(world.rita), owner_id=owner.pk if owner else None, now=NOW)


@pytest.mark.parametrize(
    ("hours", "state"), [(0, DriftState.DIFFERS), (71, DriftState.DIFFERS), (72, DriftState.UNEXPLAINED)]
)
def test_compare__by_age(world: World, apart: Flag, hours: int, state: DriftState) -> None:
    found = between(world, NOW + hours * HOUR)

    assert found.state is state
    assert [(line.aspect, line.since) for line in found.lines] == [(Aspect.RULES, NOW)]


def test_compare__same_and_missing(world: World, apart: Flag) -> None:
    world.flag("new")

    assert between(world, LATER, world.development, world.staging).state is DriftState.SAME
    cells, following = drift_page(world.production, after="", most=50, now=LATER)
    assert following is None
    assert [(one.flag.key, one.downstream, one.state) for one in cells] == [
        (apart.key, world.production, DriftState.UNEXPLAINED),
        ("new", world.production, DriftState.MISSING),
    ]


def segment(world: World, environment: Environment, key: str, condition: dict[str, Any]) -> None:
    """A segment that nobody asked about, as of LATER."""
    document = {"schema": 1, "condition": condition}
    with governed_write(environment.pk):
        row = Segment(environment=environment, key=key, name=key, document=document, version=1, updated_at=LATER)
        row.digest = document_digest(document)
        Segment.objects.bulk_create([row])


@pytest.mark.parametrize("is_nested", [False, True])
def test_compare__segment_holds_other_people__counts_to_the_rules(
    world: World, apart: Flag, *, is_nested: bool
) -> None:
    for environment, plan in ((world.development, "beta"), (world.staging, "beta"), (world.production, "gold")):
        segment(world, environment, "plan", {"attribute": "plan", "operator": "equals", "value": plan})
        segment(world, environment, "outer", {"segment": "plan"})
    named = "outer" if is_nested else "plan"
    ruled = {**percent_document(apart.key, 10)}
    ruled["rules"] = [{**ruled["rules"][0], "condition": {"segment": named}}]
    for environment in (world.development, world.staging):
        serve(world, environment, ruled)
    world.serve(apart, world.production, ruled)

    found = between(world, LATER)

    assert (found.state, found.segments) == (DriftState.DIFFERS, (named,))
    assert [(line.aspect, line.since) for line in found.lines] == [(Aspect.RULES, LATER)]
    assert between(world, LATER, world.development, world.staging).state is DriftState.SAME
    refresh_drift(world.project.pk, now=LATER)
    assert [(row.downstream, row.aspects) for row in Drift.objects.all()] == [
        (world.production, {"rules": LATER.isoformat()})
    ]


def test_compare__open_request__explains_it(world: World, apart: Flag) -> None:
    request = promoted(world, chosen(world, Aspect.RULES))

    found = between(world, LATER)

    assert (found.state, found.requests) == (DriftState.DIFFERS, (request,))


def test_refresh__unrelated_edits__do_not_begin_anew_and_the_same_again_is_forgotten(world: World, apart: Flag) -> None:
    assert refresh_drift(world.project.pk, now=NOW) is True
    assert refresh_drift(world.project.pk, now=LATER) is False
    serve(world, world.staging, {**percent_document(apart.key, 50), "salt": "x"}, at=LATER)
    assert {line.aspect: line.since for line in between(world, LATER).lines}[Aspect.RULES] == NOW

    assert refresh_drift(world.project.pk, now=LATER) is True
    row = Drift.objects.get(downstream=world.production)
    assert (row.since, row.aspects) == (NOW, {"rules": NOW.isoformat(), "salt": LATER.isoformat()})

    serve(world, world.staging, percent_document(apart.key, 10), at=LATER)
    refresh_drift(world.project.pk, now=LATER)
    assert not Drift.objects.filter(downstream=world.production).exists()


def test_intended__covers_its_aspects_until_it_expires(world: World, apart: Flag) -> None:
    serve(world, world.staging, {**percent_document(apart.key, 50), "salt": "x"})
    intend(world, apart)

    states = {line.aspect: line.state for line in between(world, LATER).lines}
    after = {line.aspect: line.state for line in between(world, NOW + timedelta(days=30)).lines}

    assert states == {Aspect.RULES: DriftState.INTENDED, Aspect.SALT: DriftState.UNEXPLAINED}
    assert set(after.values()) == {DriftState.UNEXPLAINED}


def test_intended__ended__is_drift_again_with_both_in_the_trail(world: World, apart: Flag) -> None:
    row = intend(world, apart)
    end_difference(row.pk, actor=actor_of(world.vera), reason="Done", now=NOW)

    assert between(world, LATER).state is DriftState.UNEXPLAINED
    events = AuditEvent.objects.filter(action__in=[Action.DIFFERENCE_INTENDED, Action.DIFFERENCE_ENDED])
    assert [(event.action, event.environment_key) for event in events.order_by("sequence")] == [
        ("difference.intended", "production"),
        ("difference.ended", "production"),
    ]
    assert end_difference(row.pk, actor=actor_of(world.rita), reason="", now=LATER).ended_at == NOW


@pytest.mark.parametrize(
    "write",
    [
        lambda rows: rows.update(expires_at=NOW + timedelta(days=300)),
        lambda rows: rows.update(reason="Another"),
        lambda rows: rows.delete(),
    ],
)
def test_intended__written_without_a_service__is_refused_by_the_database(world: World, apart: Flag, write: Any) -> None:
    intend(world, apart)

    with pytest.raises(IntegrityError, match="flagsite: "), transaction.atomic():
        write(IntendedDifference.objects.all())


WRONG: dict[str, dict[str, Any]] = {
    "nothing": {"aspects": []},
    "an aspect that is none": {"aspects": ["rules", "colour"]},
    "no reason": {"reason": " "},
    "for ever": {"expires_at": NOW + timedelta(days=367)},
    "over already": {"expires_at": NOW},
    "without a zone": {"expires_at": datetime(2026, 3, 9)},  # noqa: DTZ001
    "an owner who is nobody": {"owner_id": "x"},
}


@pytest.mark.parametrize("case", WRONG)
def test_intend__unusable__is_refused(world: World, apart: Flag, case: str) -> None:
    with pytest.raises(InvalidInput):
        intend(world, apart, **WRONG[case])
    assert not IntendedDifference.objects.exists()


def test_intend__owner_without_a_role_or_one_environment__is_refused(world: World, apart: Flag) -> None:
    for fields in ({"owner_id": world.otto.pk}, {"pair": (world.staging.pk, world.staging.pk)}):
        with pytest.raises(InvalidInput):
            intend(world, apart, **fields)


@pytest.mark.parametrize(
    ("who", "may"), [("rita", True), ("rolf", True), ("ada", True), ("abel", False), ("vera", False), ("otto", False)]
)
def test_intend__by_role(world: World, apart: Flag, who: str, may: bool) -> None:
    try:
        intend(world, apart, by=getattr(world, who))
    except PermissionMissing:
        assert not may
    assert IntendedDifference.objects.exists() is may


def test_end__by_somebody_without_the_right__is_refused(world: World, apart: Flag) -> None:
    row = intend(world, apart, owner_id=world.anna.pk)

    for who in (world.vera, world.abel, world.otto):
        with pytest.raises(PermissionMissing):
            end_difference(row.pk, actor=actor_of(who), reason="", now=NOW)


def test_desk__goes_to_the_owner_of_the_flag(world: World, apart: Flag) -> None:
    own(world, apart, world.vera)
    refresh_drift(world.project.pk, now=NOW)

    assert [len(drift_tasks(one, LATER)) for one in (world.vera, world.rita, world.ada, world.otto)] == [1, 0, 0, 0]
    [task] = drift_tasks(world.vera, LATER)
    assert "Staging and Production differ in the rules, for 3 days" in task.text


def test_desk__nobody_owns_it__goes_to_administrators(world: World, apart: Flag) -> None:
    refresh_drift(world.project.pk, now=NOW)
    world.grant(world.abel, world.production, Role.ADMINISTRATOR)

    found = {name: bool(drift_tasks(getattr(world, name), LATER)) for name in ("ada", "abel", "rita", "vera")}

    assert found == {"ada": True, "abel": True, "rita": False, "vera": False}


@pytest.mark.parametrize("explained", ["too young", "intended", "proposed"])
def test_desk__explained__is_no_task(world: World, apart: Flag, explained: str) -> None:
    refresh_drift(world.project.pk, now=NOW)
    if explained == "intended":
        intend(world, apart)
    if explained == "proposed":
        promoted(world, chosen(world, Aspect.RULES))

    assert drift_for(world.ada, now=NOW if explained == "too young" else LATER) == []


def test_desk__many_flags__a_few_tasks_and_the_same_queries(
    world: World, apart: Flag, django_assert_max_num_queries: Any
) -> None:
    for number in range(SHOWN + 2):
        flag = world.flag(f"other-{number}")
        Drift.objects.create(
            project=world.project,
            flag=flag,
            upstream=world.staging,
            downstream=world.production,
            aspects={"on": NOW.isoformat()},
            since=NOW,
        )

    with django_assert_max_num_queries(6):
        tasks = drift_tasks(world.ada, LATER)

    assert len(tasks) == SHOWN + 1
    assert tasks[-1].title == "2 more flags are served differently without a reason"


def test_compare__more_flags__same_number_of_queries(
    world: World, apart: Flag, django_assert_max_num_queries: Any
) -> None:
    world.serve(world.flag("other"), world.production)
    pairs = neighbours(world.environments)

    with django_assert_max_num_queries(7):
        assert len(compare(world.project, pairs, now=LATER)) == 2
