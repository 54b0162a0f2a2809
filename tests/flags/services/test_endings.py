"""What a write may do to the end of a flag, by the authority it has."""

from typing import Any

import pytest

from audits.errors import GovernanceError
from flags.authority import Authority, DirectEdit, Narrowing, NotNarrowing, Retirement, Reversal
from flags.changes import ChangeSet, ConfigEdit
from flags.documents import initial_document
from flags.errors import InvalidDocument
from flags.models import Environment, Flag, FlagConfig
from flags.services.configs import apply_change_set
from tests.factories import NOW, World, actor_of, make_world

pytestmark = pytest.mark.django_db
TOLD = {"deprecated_at": "2026-01-01T00:00:00Z", "sunset_at": "2026-06-01T00:00:00Z"}
ARCHIVED = {"deprecated_at": "2026-01-01T00:00:00Z", "is_archived": True}
GONE = {"weight": 100_000, "serves": "off"}
DIRECT, NARROWING, REVERSAL = DirectEdit(), Narrowing("edit"), Reversal("flag", "version 1")


@pytest.fixture
def world() -> World:
    return make_world()


def document(deprecation: dict[str, Any] | None, **fields: Any) -> dict[str, Any]:
    found = {**initial_document("old-basket", "boolean"), "enabled": True, **fields}
    return found if deprecation is None else {**found, "deprecation": deprecation}


def put(
    world: World, flag: Flag, environment: Environment, wanted: dict[str, Any], authority: Authority
) -> FlagConfig | None:
    config = FlagConfig.objects.filter(flag=flag, environment=environment).first()
    edit = ConfigEdit(flag.key, config.version if config else 0, wanted)
    change_set = ChangeSet(str(environment.pk), (edit,))
    apply_change_set(change_set, actor=actor_of(world.rita), authority=authority, now=NOW, reason="Test")
    return FlagConfig.objects.filter(flag=flag, environment=environment).first()


def refusal(world: World, before: Any, after: Any, authority: Authority, *, in_production: bool) -> str:
    """The code of what speaks against the write; empty where nothing does."""
    flag = world.flag("old-basket")
    environment = world.production if in_production else world.staging
    world.serve(flag, environment, before)
    try:
        put(world, flag, environment, after, authority)
    except GovernanceError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    ("before", "after", "authority", "in_production", "code"),
    [
        (None, ARCHIVED, DIRECT, False, InvalidDocument.code),
        (None, ARCHIVED, NARROWING, False, InvalidDocument.code),
        (None, ARCHIVED, NARROWING, True, InvalidDocument.code),
        (None, ARCHIVED, REVERSAL, False, InvalidDocument.code),
        (None, ARCHIVED, Retirement(), False, ""),
        (ARCHIVED, ARCHIVED | {"link": "https://example.test"}, DIRECT, False, ""),
        (None, TOLD, DIRECT, False, ""),
        (None, TOLD, NARROWING, False, ""),
        (None, TOLD, NARROWING, True, NotNarrowing.code),
        (TOLD, None, NARROWING, True, NotNarrowing.code),
        (TOLD, None, REVERSAL, True, NotNarrowing.code),
        (TOLD, None, REVERSAL, False, ""),
        (TOLD, TOLD | {"link": "https://example.test"}, NARROWING, True, NotNarrowing.code),
        (TOLD, TOLD | {"withdrawal": GONE}, NARROWING, True, ""),
        (TOLD | {"withdrawal": GONE}, TOLD, NARROWING, True, NotNarrowing.code),
    ],
)
def test_apply__end_of_a_flag__per_authority(world, before, after, authority, in_production, code):
    served = {"default_variant": "on"}

    found = refusal(
        world, document(before, **served), document(after, **served), authority, in_production=in_production
    )

    assert found == code


@pytest.mark.parametrize("is_on", [True, False])
def test_apply__archived_flag_comes_back__only_switched_off(world, is_on):
    flag = world.flag("old-basket")
    world.serve(flag, world.staging, document(ARCHIVED))

    if is_on:
        with pytest.raises(InvalidDocument, match="Revive it first"):
            put(world, flag, world.staging, document(None), DIRECT)
    else:
        put(world, flag, world.staging, document(None, enabled=False), DIRECT)

    [served] = FlagConfig.objects.filter(flag=flag, environment=world.staging)
    assert ("deprecation" in served.document) is is_on


def test_apply__archiving_what_others_need__is_refused_whatever_the_authority(world):
    flag, child = world.flag("old-basket"), world.flag("child")
    world.serve(flag, world.staging, document(None))
    needs = [{"flag": flag.key, "variants": ["on"]}]
    world.serve(child, world.staging, {**initial_document("child", "boolean"), "prerequisites": needs})

    with pytest.raises(InvalidDocument, match="archived in this environment"):
        world.serve(flag, world.staging, document(ARCHIVED))
    with pytest.raises(InvalidDocument, match="archived in this environment"):
        put(world, flag, world.staging, document(ARCHIVED), Retirement())
