"""The single write path: one table of refusals, and what one apply leaves behind."""

import uuid
from dataclasses import replace
from typing import Any

import pytest

from audits.context import Actor, correlation
from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.authority import ApprovedChange, ConsentMismatch, DirectEdit, ProtectedEnvironment
from flags.changes import ChangeSet, ConfigEdit, SegmentEdit, change_digest, document_digest
from flags.documents import initial_document
from flags.errors import InvalidDocument, NotFound, PermissionMissing, StaleChange
from flags.models import ApplyTicket, Environment, FlagConfig, Segment
from flags.services.configs import apply_change_set, edit_config, edit_segment, validate_change_set
from tests.factories import NOW, World, actor_of, make_world, percent_document

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return make_world()


def change(world: World, environment: Environment, *, base_version: int = 0, share: int = 25) -> ChangeSet:
    edit = ConfigEdit("checkout-redesign", base_version, percent_document("checkout-redesign", share))
    return ChangeSet(str(environment.pk), (edit,))


def consent(change_set: ChangeSet, world: World, **facts: Any) -> ApprovedChange:
    digest = change_digest(change_set, apply_at=None)
    approved = ApprovedChange(str(uuid.uuid4()), digest, digest, (str(world.abel.pk),), 1)
    return replace(approved, **facts)


def test_apply_change_set__direct_edit_in_open_environment__writes_version_history_event_and_revision(world):
    flag = world.flag()
    before = Environment.objects.get(pk=world.development.pk).revision

    with correlation() as correlation_id:
        applied = edit_config(
            flag.pk,
            world.development.pk,
            actor=actor_of(world.rita),
            document=percent_document(flag.key, 25),
            base_version=1,
            reason="Try a quarter",
            now=NOW,
        )

    config = FlagConfig.objects.get(flag=flag, environment=world.development)
    row = config.history.latest("version")
    event = AuditEvent.objects.filter(action="flag_config.applied").latest("sequence")
    assert applied.versions == {flag.key: 2}
    assert applied.revision == before + 1 == Environment.objects.get(pk=world.development.pk).revision
    assert (config.version, config.digest) == (2, document_digest(config.document))
    assert (row.version, row.digest, row.history_change_reason) == (2, config.digest, "Try a quarter")
    assert (row.history_user, row.actor_id, row.correlation_id) == (world.rita, str(world.rita.pk), correlation_id)
    assert (event.correlation_id, event.flag_key, event.reason) == (correlation_id, flag.key, "Try a quarter")
    assert event.details["from_version"] == 1
    assert event.details["to_digest"] == config.digest
    assert event.details["authority"] == "direct_edit"
    assert not ApplyTicket.objects.exists()


def test_apply_change_set__individual_targets__are_counted_in_the_event_and_not_named(world):
    named = {"attribute": "targetingKey", "operator": "in", "value": ["anna@example.org", "abel@example.org"]}
    rule = {"id": "r", "description": "", "condition": named, "serve": {"variant": "on"}}
    targets = [{"variant": "on", "keys": ["anna@example.org", "zoe@example.org"]}]
    key = world.flag().key
    document = initial_document(key, "boolean") | {"rules": [rule], "targets": targets}
    edits = (ConfigEdit(key, 1, document), SegmentEdit("staff", "Staff", 0, {"condition": named}))
    change_set = ChangeSet(str(world.development.pk), edits)

    apply_change_set(change_set, actor=actor_of(world.rita), authority=DirectEdit(), now=NOW, reason="Test")

    events = AuditEvent.objects.filter(action__in=["flag_config.applied", "segment.applied"]).order_by("-sequence")[:2]
    told = "".join(str(event.data) for event in events)
    assert "Individual targets for “on”: 2 added (2 in all)" in told
    assert "New segment: targetingKey is one of “key 1” and “key 2”" in told
    assert "example.org" not in told


def test_apply_change_set__approved_change__records_the_people_who_approved(world):
    world.flag()
    change_set = change(world, world.production)

    apply_change_set(change_set, actor=actor_of(world.rolf), authority=consent(change_set, world), now=NOW, reason="Go")

    event = AuditEvent.objects.filter(action="flag_config.applied", environment_key="production").get()
    assert event.details["approver_ids"] == [str(world.abel.pk)]
    assert event.details["from_version"] == 0


REFUSALS: dict[str, tuple[type[GovernanceError], str, dict[str, Any]]] = {
    "direct edit of a protected environment": (
        ProtectedEnvironment,
        "production",
        {"authority": DirectEdit(), "who": "rita"},
    ),
    "no right to edit": (PermissionMissing, "development", {"authority": DirectEdit(), "who": "vera"}),
    "approver is no editor": (PermissionMissing, "development", {"authority": DirectEdit(), "who": "abel"}),
    "a superuser is no editor": (PermissionMissing, "development", {"authority": DirectEdit(), "who": "ada"}),
    "an outsider": (PermissionMissing, "development", {"authority": DirectEdit(), "who": "otto"}),
    "editor may not apply": (PermissionMissing, "production", {"who": "rita"}),
    "consent to other content": (ConsentMismatch, "production", {"facts": {"content_digest": "0" * 64}}),
    "no approver": (ConsentMismatch, "production", {"facts": {"approver_ids": ()}}),
    "one person counted twice": (
        ConsentMismatch,
        "production",
        {"facts": {"approver_ids": ("a", "a"), "required_approvals": 2}},
    ),
    "zero required approvals": (ConsentMismatch, "production", {"facts": {"required_approvals": 0}}),
    "based on an older version": (StaleChange, "production", {"base_version": 3}),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_apply_change_set__refusal__changes_nothing(case, world):
    error, key, options = REFUSALS[case]
    world.flag()
    environment = getattr(world, key)
    change_set = change(world, environment, base_version=options.get("base_version", int(key == "development")))
    authority = options.get("authority") or consent(change_set, world, **options.get("facts", {}))
    before = list(FlagConfig.objects.order_by("pk").values_list("pk", "digest", "version"))
    events, revision = AuditEvent.objects.count(), Environment.objects.get(pk=environment.pk).revision

    with pytest.raises(error):
        apply_change_set(
            change_set,
            actor=actor_of(getattr(world, options.get("who", "rolf" if key == "production" else "rita"))),
            authority=authority,
            now=NOW,
            reason="Try",
        )

    assert list(FlagConfig.objects.order_by("pk").values_list("pk", "digest", "version")) == before
    assert AuditEvent.objects.count() == events
    assert Environment.objects.get(pk=environment.pk).revision == revision


@pytest.mark.parametrize("actor", [Actor.service("token", "checkout"), Actor.system("some.rule"), Actor.system("")])
def test_apply_change_set__actor_without_grants__is_refused(actor, world):
    world.flag()
    change_set = change(world, world.production)

    with pytest.raises(PermissionMissing):
        apply_change_set(change_set, actor=actor, authority=consent(change_set, world), now=NOW, reason="Go")


def test_apply_change_set__one_bad_edit_among_good_ones__applies_none(world):
    good, bad = world.flag("good"), world.flag("bad")
    broken = {**initial_document("bad", "boolean"), "default_variant": "nobody"}
    edits = (ConfigEdit("good", 1, percent_document("good", 10)), ConfigEdit("bad", 1, broken))

    with pytest.raises(InvalidDocument) as caught:
        apply_change_set(
            ChangeSet(str(world.development.pk), edits),
            actor=actor_of(world.rita),
            authority=DirectEdit(),
            now=NOW,
            reason="Both",
        )

    assert caught.value.facts["problems"][0]["key"] == "bad"
    assert {config.version for config in FlagConfig.objects.filter(flag__in=[good, bad])} == {1}


def test_apply_change_set__failing_event__takes_the_change_back(world, monkeypatch):
    flag = world.flag()

    def broken(*args: object, **kwargs: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("flags.services.configs.trail.record", broken)
    with pytest.raises(OSError, match="disk full"):
        edit_config(
            flag.pk,
            world.development.pk,
            actor=actor_of(world.rita),
            document=percent_document(flag.key, 25),
            base_version=1,
            reason="",
            now=NOW,
        )

    assert FlagConfig.objects.get(flag=flag, environment=world.development).version == 1


def test_apply_change_set__segment_and_rule_together__are_validated_as_one_state(world):
    flag = world.flag()
    document = percent_document(flag.key, 25)
    document["rules"][0]["condition"] = {"segment": "beta"}
    segment = {"schema": 1, "condition": {"attribute": "beta", "operator": "is_true", "value": None}}
    config_edit = ConfigEdit(flag.key, 1, document)

    with pytest.raises(InvalidDocument, match="beta"):
        validate_change_set(ChangeSet(str(world.development.pk), (config_edit,)), world.development)
    apply_change_set(
        ChangeSet(str(world.development.pk), (config_edit, SegmentEdit("beta", "Beta", 0, segment))),
        actor=actor_of(world.rita),
        authority=DirectEdit(),
        now=NOW,
        reason="Beta",
    )

    assert Segment.objects.get(key="beta").version == 1


def test_edit_segment__renamed_and_changed__keeps_both_versions(world):
    condition = {"schema": 1, "condition": {"attribute": "beta", "operator": "is_true", "value": None}}
    for version, name in enumerate(("Beta", "Beta people")):
        edit_segment(
            world.development.pk,
            actor=actor_of(world.rita),
            key="beta",
            name=name,
            document=condition,
            base_version=version,
            reason="",
            now=NOW,
        )

    segment = Segment.objects.get(key="beta")
    assert [row.name for row in segment.history.order_by("version")] == ["Beta", "Beta people"]


@pytest.mark.parametrize(
    ("key", "name"), [("with space", "Fine"), ("k" * 101, "Fine"), ("fine", " "), ("fine", "x" * 121)]
)
def test_edit_segment__bad_key_or_name__is_refused(key, name, world):
    condition = {"schema": 1, "condition": {"attribute": "beta", "operator": "is_true", "value": None}}

    with pytest.raises(InvalidDocument):
        edit_segment(
            world.development.pk,
            actor=actor_of(world.rita),
            key=key,
            name=name,
            document=condition,
            base_version=0,
            reason="",
            now=NOW,
        )

    assert not Segment.objects.exists()


def test_apply_change_set__flag_of_another_project__is_refused(world):
    other = make_world()
    other.flag("elsewhere")
    edit = ConfigEdit("elsewhere", 0, initial_document("elsewhere", "boolean"))

    with pytest.raises(InvalidDocument, match="no flag elsewhere"):
        apply_change_set(
            ChangeSet(str(world.development.pk), (edit,)),
            actor=actor_of(world.rita),
            authority=DirectEdit(),
            now=NOW,
            reason="",
        )


def test_apply_change_set__unknown_environment__is_not_found(world):
    with pytest.raises(NotFound):
        apply_change_set(
            ChangeSet(str(uuid.uuid4()), (ConfigEdit("x", 0, {}),)),
            actor=actor_of(world.rita),
            authority=DirectEdit(),
            now=NOW,
            reason="",
        )


HOSTILE = [float("nan"), float("inf"), "half \ud800", 2**80, {1, 2}, b"bytes"]
MALFORMED = [
    {},
    {"schema": 1},
    {"rules": None},
    {"rules": [[]]},
    {"variants": 3},
    *({"rules": value} for value in HOSTILE),
]


@pytest.mark.parametrize("document", MALFORMED)
def test_edit_config__malformed_document__lists_problems_with_paths(document, world):
    flag = world.flag()

    with pytest.raises(InvalidDocument) as caught:
        edit_config(
            flag.pk,
            world.development.pk,
            actor=actor_of(world.rita),
            document=document,
            base_version=1,
            reason="",
            now=NOW,
        )

    assert all({"key", "path", "message"} == set(item) for item in caught.value.facts["problems"])


def test_governance_errors__every_subclass__has_its_own_code():
    def subclasses(cls: type[GovernanceError]) -> set[type[GovernanceError]]:
        return set(cls.__subclasses__()).union(*(subclasses(sub) for sub in cls.__subclasses__()))

    errors = subclasses(GovernanceError)
    assert len({error.code for error in errors}) == len(errors)
    assert all(400 <= error.status < 600 for error in errors)
