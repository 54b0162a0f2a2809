"""Copying aspects of flags from one environment to another, and how long content has soaked in the one before."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from audits.errors import GovernanceError
from flags.aspects import Aspect
from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.documents import initial_document
from flags.errors import InvalidInput, PermissionMissing, StaleChange
from flags.models import Environment, FlagConfig, Segment
from flags.selectors.movements import movement_of_change_set
from flags.services.configs import edit_config, edit_segment
from rollouts.models import ChangeRequest
from rollouts.selectors.promotion import promotion_offer
from rollouts.selectors.soak import soak_of
from rollouts.services.change_requests import create_change_request
from rollouts.services.incidents import close_incident, open_incident
from rollouts.services.promotion import FlagChoice, SegmentChoice, promote
from rollouts.transitions import RequestState
from tests.factories import NOW, World, actor_of, percent_document
from tests.rollouts.support import Bench

EVERY = frozenset(Aspect)
HOUR = timedelta(hours=1)


def serve(world: World, environment: Environment, document: dict[str, Any], *, at: datetime = NOW) -> FlagConfig:
    """Rita edits an open environment."""
    flag = world.first_flag
    row = FlagConfig.objects.filter(flag=flag, environment=environment).first()
    edit_config(
        flag.pk,
        environment.pk,
        document=document,
        base_version=row.version if row else 0,
        actor=actor_of(world.rita),
        reason="Test",
        now=at,
    )
    return FlagConfig.objects.get(flag=flag, environment=environment)


def add_segment(world: World, environment: Environment, key: str, condition: dict[str, Any], *, base: int = 0) -> None:
    edit_segment(
        environment.pk,
        key=key,
        name=key.title(),
        document={"schema": 1, "condition": condition},
        base_version=base,
        actor=actor_of(world.rita),
        reason="Test",
        now=NOW,
    )


def country(name: str) -> dict[str, Any]:
    return {"attribute": "country", "operator": "equals", "value": name}


def chosen(world: World, *aspects: Aspect, source: int | None = None, target: int | None = None) -> FlagChoice:
    versions = {row.environment_id: row.version for row in FlagConfig.objects.filter(flag=world.first_flag)}
    return FlagChoice(
        world.first_flag.key,
        frozenset(aspects) or EVERY,
        versions[world.staging.pk] if source is None else source,
        versions.get(world.production.pk, 0) if target is None else target,
    )


def promoted(world: World, *flags: FlagChoice, by: Any = None, **fields: Any) -> ChangeRequest:
    return promote(
        world.staging.pk,
        world.production.pk,
        flags=flags,
        actor=actor_of(by or world.rita),
        title="Promote the checkout",
        reason="It was fine in staging",
        now=NOW,
        **fields,
    )


def document_in(request: ChangeRequest) -> dict[str, Any]:
    [edit] = [edit for edit in request.content.edits if isinstance(edit, ConfigEdit)]
    return edit.document


def test_promote__chosen_aspects__leave_the_rest_and_name_their_source(bench: Bench) -> None:
    world = bench.world
    staged = serve(world, world.staging, {**percent_document(bench.flag.key, 50, enabled=False), "salt": "other"})

    request = promoted(world, chosen(world, Aspect.RULES))

    served = FlagConfig.objects.get(flag=bench.flag, environment=world.production).document
    assert request.current_state is RequestState.DRAFT
    assert document_in(request) == {**served, "rules": staged.document["rules"]}
    assert request.source == {
        "kind": "promotion",
        "environment": "staging",
        "environment_id": str(world.staging.pk),
        "flags": [{"key": bench.flag.key, "version": staged.version, "aspects": ["rules"]}],
        "segments": [],
    }


def test_promote__not_set_up_there__stays_off_unless_the_switch_is_chosen(world: World) -> None:
    world.flag()
    serve(world, world.staging, percent_document("checkout-redesign", 50))

    off, on = (promoted(world, chosen(world, *aspects)) for aspects in [(Aspect.RULES,), (Aspect.RULES, Aspect.ON)])

    assert (document_in(off)["enabled"], document_in(on)["enabled"]) == (False, True)
    assert document_in(off)["rules"] == document_in(on)["rules"] != []


@pytest.mark.parametrize("side", ["source", "target"])
def test_promote__moved_since_it_was_looked_at__is_refused(bench: Bench, side: str) -> None:
    world = bench.world
    serve(world, world.staging, percent_document(bench.flag.key, 50))

    with pytest.raises(StaleChange, match="changed in"):
        promoted(world, chosen(world, **{side: 7}))
    assert not ChangeRequest.objects.exists()


def test_promote__target_moves_after_the_draft__cannot_be_submitted(bench: Bench) -> None:
    serve(bench.world, bench.world.staging, percent_document(bench.flag.key, 50))
    request = promoted(bench.world, chosen(bench.world))
    bench.move_on()

    with pytest.raises(StaleChange):
        bench.submit(request)


@pytest.mark.parametrize(("who", "may"), [("rita", True), ("abel", False), ("vera", False), ("otto", False)])
def test_promote__by_role(bench: Bench, who: str, may: bool) -> None:
    serve(bench.world, bench.world.staging, percent_document(bench.flag.key, 50))
    try:
        promoted(bench.world, chosen(bench.world), by=getattr(bench.world, who))
    except PermissionMissing:
        assert not may
    assert ChangeRequest.objects.exists() is may


def test_promote__source_out_of_sight__is_refused(bench: Bench) -> None:
    serve(bench.world, bench.world.staging, percent_document(bench.flag.key, 50))
    choice = chosen(bench.world)
    bench.world.grant(bench.world.rita, bench.world.staging)

    with pytest.raises(PermissionMissing):
        promoted(bench.world, choice)


def test_promote__nothing_would_change__is_refused(bench: Bench) -> None:
    world = bench.world
    production = FlagConfig.objects.get(flag=bench.flag, environment=world.production)
    serve(world, world.staging, production.document)

    with pytest.raises(InvalidInput, match="would not change"):
        promoted(world, chosen(world))


def test_promote__rules_with_segments__are_offered_and_taken_along(bench: Bench) -> None:
    world, key = bench.world, bench.flag.key
    add_segment(world, world.staging, "nordics", country("NO"))
    add_segment(world, world.staging, "testers", {"or": [{"segment": "nordics"}, country("DE")]})
    rule = {"id": "r", "description": "", "condition": {"segment": "testers"}, "serve": {"variant": "on"}}
    serve(world, world.staging, {**percent_document(key, 5), "rules": [rule]})

    offer = promotion_offer(world.staging, world.production, [key, "nothing"])
    with pytest.raises(GovernanceError):
        promoted(world, chosen(world, Aspect.RULES))
    choices = [SegmentChoice(one.segment.key, one.segment.version, one.target_version) for one in offer.segments]
    request = promoted(world, chosen(world, Aspect.RULES), segments=choices)

    assert [(one.segment.key, one.is_missing, one.used_by) for one in offer.segments] == [
        ("nordics", True, (key,)),
        ("testers", True, (key,)),
    ]
    assert offer.absent == ("nothing",)
    assert [type(edit) for edit in request.content.edits].count(SegmentEdit) == len(choices)
    assert movement_of_change_set(request.content, world.production).flags


def test_offer__segment_that_is_another_there__is_told_and_its_name_stays(bench: Bench) -> None:
    world, key = bench.world, bench.flag.key
    for environment, place in ((world.staging, "NO"), (world.development, "SE")):
        add_segment(world, environment, "nordics", country(place))
    rule = {"id": "r", "description": "", "condition": {"segment": "nordics"}, "serve": {"variant": "on"}}
    serve(world, world.staging, {**percent_document(key, 5), "rules": [rule]})

    [offer] = promotion_offer(world.staging, world.development, [key]).segments

    assert not offer.is_missing
    assert "SE" in offer.sentences[0]
    assert "NO" in offer.sentences[0]


def test_offer__more_flags__same_number_of_queries(bench: Bench, django_assert_num_queries: Any) -> None:
    serve(bench.world, bench.world.staging, percent_document(bench.flag.key, 50))
    for count in (1, 20):
        with django_assert_num_queries(2):
            promotion_offer(bench.world.staging, bench.world.production, [bench.flag.key, "x"][:count])


SHARE = percent_document("checkout-redesign", 50)


def request_for(
    bench: Bench, document: dict[str, Any] = SHARE, environment: Environment | None = None
) -> ChangeRequest:
    place = environment or bench.production
    row = FlagConfig.objects.filter(flag=bench.flag, environment=place).first()
    edit = ConfigEdit(bench.flag.key, row.version if row else 0, document)
    return create_change_request(
        place.pk,
        actor=actor_of(bench.world.rita),
        title="Widen",
        reason="Test",
        change_set=ChangeSet(str(place.pk), (edit,)),
        apply_at=None,
        now=NOW,
    )


def hours(request: ChangeRequest, now: datetime) -> int | None:
    soak = soak_of(request, now=now)
    return soak.hours if soak else None


def test_soak__same_content_upstream__counts_from_when_it_went_live(bench: Bench) -> None:
    serve(bench.world, bench.world.staging, percent_document(bench.flag.key, 5), at=NOW - 9 * HOUR)
    serve(bench.world, bench.world.staging, SHARE, at=NOW - 5 * HOUR)
    serve(bench.world, bench.world.staging, {**SHARE, "client_visible": True}, at=NOW - 2 * HOUR)

    assert hours(request_for(bench), NOW) == 5


CASES: dict[str, tuple[list[dict[str, Any]], int]] = {
    "another share": ([percent_document("checkout-redesign", 51)], 0),
    "switched off there": ([{**SHARE, "enabled": False}], 0),
    "off for an hour in between": ([SHARE, {**SHARE, "enabled": False}, SHARE], 1),
    "rolled back and back again": ([SHARE, percent_document("checkout-redesign", 5), SHARE], 1),
    "an aspect that the request leaves alone": ([SHARE, {**SHARE, "salt": "x"}], 2),
}


@pytest.mark.parametrize("case", CASES)
def test_soak__what_upstream_served__hour_by_hour(bench: Bench, case: str) -> None:
    documents, expected = CASES[case]
    for number, document in enumerate(documents):
        serve(bench.world, bench.world.staging, document, at=NOW - (len(documents) - number) * HOUR)

    assert hours(request_for(bench), NOW) == expected


ON_IS_NOT_FALSE = [{**item, "value": True} for item in SHARE["variants"]]


def test_soak__rules_move_and_a_variant_has_another_value_there__does_not_count(bench: Bench) -> None:
    serve(bench.world, bench.world.staging, {**SHARE, "variants": ON_IS_NOT_FALSE}, at=NOW - 5 * HOUR)

    assert hours(request_for(bench), NOW) == 0


def test_soak__switched_on__everything_prepared_has_to_be_live_there(bench: Bench) -> None:
    serve(bench.world, bench.world.staging, percent_document(bench.flag.key, 0), at=NOW - 5 * HOUR)
    bench.world.serve(bench.flag, bench.production, {**SHARE, "enabled": False})
    request = request_for(bench)
    assert hours(request, NOW) == 0

    serve(bench.world, bench.world.staging, SHARE, at=NOW - 2 * HOUR)

    assert hours(request, NOW) == 2


def test_soak__what_it_requires_is_off_there__is_missing_until_it_is_on(bench: Bench) -> None:
    world, parent = bench.world, bench.world.flag("parent")
    needing = {**SHARE, "prerequisites": [{"flag": "parent", "variants": ["on"]}]}
    world.serve(parent, world.production, percent_document("parent", 50))
    world.serve(parent, world.staging, percent_document("parent", 50, enabled=False))
    serve(world, world.staging, needing, at=NOW - 9 * HOUR)
    request = request_for(bench, needing)

    soak = soak_of(request, now=NOW)

    assert soak is not None
    assert (soak.hours, soak.missing) == (0, ("parent",))
    world.serve(parent, world.staging, percent_document("parent", 50))
    assert hours(request, NOW + 3 * HOUR) == 3


def test_soak__edited_after_it_was_promoted__does_not_count(bench: Bench) -> None:
    serve(bench.world, bench.world.staging, SHARE, at=NOW - 5 * HOUR)
    request = promoted(bench.world, chosen(bench.world))
    assert hours(request, NOW) == 5

    bench.edit(request, change_set=bench.content(77))

    assert hours(ChangeRequest.objects.get(pk=request.pk), NOW) == 0


def test_soak__no_environment_before_or_not_set_up(bench: Bench) -> None:
    assert soak_of(request_for(bench, environment=bench.world.development), now=NOW) is None
    soak = soak_of(request_for(bench), now=NOW)
    assert soak is not None
    assert (soak.environment, soak.hours, soak.missing) == (bench.world.staging, 0, (bench.flag.key,))


def test_soak__incident_upstream__stops_it_and_begins_anew(bench: Bench) -> None:
    world = bench.world
    serve(world, world.staging, SHARE, at=NOW - 9 * HOUR)
    request = request_for(bench)
    rolf = actor_of(world.rolf)
    facts = {"title": "Slow", "severity": "major", "link": "", "actor": rolf}
    incident = open_incident(world.project.pk, environment_id=world.staging.pk, now=NOW - 4 * HOUR, **facts)  # type: ignore[arg-type]
    open_incident(world.project.pk, environment_id=world.production.pk, now=NOW, **facts)  # type: ignore[arg-type]

    during = soak_of(request, now=NOW)
    close_incident(incident.pk, actor=rolf, reason="Fixed", now=NOW - HOUR)

    assert during is not None
    assert (during.hours, during.is_healthy, during.incidents) == (0, False, ("Slow",))
    assert hours(request, NOW) == 1


def test_soak__segment__has_to_be_the_same_one(bench: Bench) -> None:
    world = bench.world
    add_segment(world, world.staging, "testers", country("NO"))
    row = Segment.objects.get(environment=world.staging)

    def request(place: str) -> ChangeRequest:
        edit = SegmentEdit("testers", "Testers", 0, {**row.document, "condition": country(place)})
        return bench.draft(change_set=ChangeSet(str(bench.production.pk), (edit,)))

    assert hours(request("NO"), NOW + 3 * HOUR) == 3
    assert hours(request("SE"), NOW + 3 * HOUR) == 0


def test_soak__more_flags__same_number_of_queries(bench: Bench, django_assert_max_num_queries: Any) -> None:
    serve(bench.world, bench.world.staging, SHARE)
    edits = [ConfigEdit(bench.flag.key, bench.version(), SHARE)]
    for number in range(4):
        flag = bench.world.flag(f"other-{number}")
        edits.append(ConfigEdit(flag.key, 0, initial_document(flag.key, "boolean")))
    request = bench.draft(change_set=ChangeSet(str(bench.production.pk), tuple(edits)))

    with django_assert_max_num_queries(6):
        soak_of(ChangeRequest.objects.select_related("environment").get(pk=request.pk), now=NOW)
