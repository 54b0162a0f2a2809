"""Archiving rewrites no semantic version and no stage: neither of an archived flag nor of one that is revived."""

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flags.archives import note_of
from flags.models import ArchivedPayload, Flag, FlagConfig
from flags.selectors import flag_history as selector
from flags.selectors.flag_history import FlagHistory, flag_history
from flags.services.tickets import governed_write
from rollouts.retention.classes import PayloadClass
from rollouts.selectors.staleness.facts import life_of_flag
from rollouts.services.retention.restoring import restore_payloads
from tests.factories import NOW, percent_document
from tests.rollouts.retention.support import LATER, SYSTEM, UNTIL, Old, archive, old_world

pytestmark = [pytest.mark.django_db, pytest.mark.engines]
EXTRA = {"name": "extra", "value": True, "description": "d"}


@pytest.fixture
def old() -> Old:
    """The flag that is gone had versions that count up each part, and ended switched on."""
    old = old_world()
    served = percent_document("gone", 30)
    named = [*served["variants"], EXTRA]
    for changed in ({"variants": named}, {}, {"enabled": False}, {}, {"variants": [*served["variants"]][::-1]}):
        old.world.serve(old.gone, old.world.production, {**served, **changed})
    set_archived(old, NOW)
    selector._kept.clear()
    return old


def set_archived(old: Old, at: Any) -> None:
    with governed_write(old.world.project.pk):
        Flag.objects.filter(pk=old.gone.pk).update(archived_at=at)


def told(history: FlagHistory) -> Any:
    releases = [(str(one.number), one.part, one.change) for one in history.releases]
    return releases, history.versions


def read(old: Old, *, anew: bool) -> Any:
    """The history, by a process that began just now or by one that has read it before."""
    if anew:
        selector._kept.clear()
    return told(flag_history(Flag.objects.get(pk=old.gone.pk), now=LATER))


def present_life(old: Old) -> Any:
    life = life_of_flag(Flag.objects.get(pk=old.gone.pk), now=LATER)
    return replace(life, facts=life.facts.of_this_life)


def archived_again(old: Old, folder: Path, **changed: Any) -> Any:
    return archive(old, PayloadClass.VERSIONS, folder, until=UNTIL + timedelta(days=2), **changed)


@pytest.mark.parametrize("anew", [True, False])
def test_history__archived_then_revived_then_restored__is_the_same_throughout(anew, old, tmp_path):
    before = read(old, anew=True)
    done = archived_again(old, tmp_path)
    documents = FlagConfig.history.filter(flag=old.gone).values_list("document", flat=True)

    assert sum(note_of(document) is not None for document in documents) >= 5
    selector._kept.clear()
    assert read(old, anew=anew) == before
    set_archived(old, None)
    assert read(old, anew=anew) == before
    restore_payloads(done.path, actor=SYSTEM, now=LATER)
    assert read(old, anew=anew) == before
    set_archived(old, NOW)
    assert archived_again(old, tmp_path)
    assert read(old, anew=anew) == before


@pytest.mark.parametrize("seed", range(3))
def test_history__archived_in_small_files_some_of_which_came_back__is_the_same(seed, old, tmp_path):
    before, chosen, files = read(old, anew=True), random.Random(seed), []
    while done := archived_again(old, tmp_path, most=chosen.randint(1, 3)):
        files.append(done.path)
        assert read(old, anew=chosen.random() < 0.5) == before
    for path in chosen.sample(files, len(files) // 2):
        restore_payloads(path, actor=SYSTEM, now=LATER)
        assert read(old, anew=chosen.random() < 0.5) == before
    archived_again(old, tmp_path)

    assert read(old, anew=True) == before


def test_life__of_a_flag_revived_after_archiving__goes_by_its_new_life_alone(old, tmp_path):
    set_archived(old, None)
    with governed_write(old.world.project.pk):
        Flag.objects.filter(pk=old.gone.pk).update(lifecycle_started_at=LATER - timedelta(days=1))
    before = present_life(old)
    set_archived(old, NOW)
    assert archived_again(old, tmp_path)
    set_archived(old, None)

    assert present_life(old) == before


def test_history__nobody_noted_what_a_version_meant__is_not_kept_when_it_comes_back(old, tmp_path, monkeypatch):
    from rollouts.services.retention import archiving

    before = read(old, anew=True)
    with monkeypatch.context() as patched:
        patched.setattr(archiving, "meanings_of", lambda ids, now: {})
        done = archived_again(old, tmp_path)

    assert not ArchivedPayload.objects.exclude(meaning=None).exists()
    assert len(read(old, anew=True)[0]) >= len(before[0])
    restore_payloads(done.path, actor=SYSTEM, now=LATER)
    assert read(old, anew=False) == before
