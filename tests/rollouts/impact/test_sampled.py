"""Impact runs over sampled contexts: when they are offered, what is counted, and what is never shown."""

import json
from typing import Any

import pytest
from django.urls import reverse

from audits.models import AuditEvent
from flags.errors import InvalidInput
from flags.evaluation.bucketing import hash_bytes
from flags.models import ContextSample, Environment
from flags.sampling import environment_key, hashed
from flags.services.tickets import governed_write
from rollouts import impact
from rollouts.impact import NOTE, Population, PopulationProblem, described_sample, sampled_contexts
from rollouts.models import ChangeRequest, ImpactRun, ImpactState
from rollouts.selectors import impact as selectors
from rollouts.selectors.impact import usable_samples
from rollouts.services import impact as service
from rollouts.services.impact import carry_out_impact
from tests.factories import NOW
from tests.rollouts.admin.support import page_url
from tests.rollouts.impact.support import asked, counted
from tests.rollouts.support import Bench
from tests.support.admin import signed_in

ENOUGH = 40


@pytest.fixture(autouse=True)
def _few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (selectors, service):
        monkeypatch.setattr(module, "SMALLEST_SAMPLE", ENOUGH)


@pytest.fixture
def request_(bench: Bench) -> ChangeRequest:
    """A request in review that serves the flag to everybody."""
    return bench.submitted(change_set=bench.content(100))


def sample(bench: Bench, people: int = ENOUGH, *, is_on: bool = True) -> list[str]:
    """So many samples in production; the hashes of their keys."""
    with governed_write(bench.production.pk):
        Environment.objects.filter(pk=bench.production.pk).update(samples_contexts=is_on)
    key = environment_key("secret", "production")
    hashes = [hashed(f"MARKER-{number}", key) for number in range(people)]
    ContextSample.objects.bulk_create(
        ContextSample(environment=bench.production, key_hash=value, attributes={"plan": "MARKER"}, seen_at=NOW)
        for value in hashes
    )
    return hashes


def test_run__enough_samples__counts_over_them_and_shows_none(bench: Bench, request_: ChangeRequest) -> None:
    hashes = sample(bench)
    run = counted(bench, request_, sampled=True)

    assert run.population == {"kind": "sampled", "size": ENOUGH, "note": NOTE}
    assert run.result is not None
    assert run.result["population"] == ENOUGH
    assert run.result["flipped"] > 0
    kept = json.dumps([run.result, run.population]) + repr([event.data for event in AuditEvent.objects.all()])
    assert "MARKER" not in kept
    assert not [value for value in hashes if value in kept]
    page = signed_in(bench.world.rita).get(page_url(request_)).content.decode()
    assert f"{ENOUGH} people whose contexts were sampled" in page
    assert "match nobody here" in page
    assert "MARKER" not in page
    assert not [value for value in hashes if value in page]


@pytest.mark.parametrize(("people", "is_on"), [(0, True), (ENOUGH - 1, True), (ENOUGH, False)])
def test_run__too_few_or_switched_off__is_neither_offered_nor_taken(
    bench: Bench, request_: ChangeRequest, people: int, is_on: bool
) -> None:
    sample(bench, people, is_on=is_on)

    assert "sampled contexts</button>" not in signed_in(bench.world.rita).get(page_url(request_)).content.decode()
    with pytest.raises(InvalidInput):
        asked(bench, request_, sampled=True)


def test_page__enough_samples__offers_them(bench: Bench, request_: ChangeRequest) -> None:
    sample(bench)
    client = signed_in(bench.world.rita)

    assert f"Ask {ENOUGH} sampled contexts</button>" in client.get(page_url(request_)).content.decode()
    address = reverse("admin:rollouts_changerequest_impact", args=[request_.pk])
    client.post(address, {"people": "sampled", "population": "{}"})
    assert ImpactRun.objects.get().population["kind"] == "sampled"


def test_run__switched_off_before_a_worker_comes__fails_and_says_so(bench: Bench, request_: ChangeRequest) -> None:
    sample(bench)
    run = asked(bench, request_, sampled=True)
    assert asked(bench, request_, sampled=True) == run
    sample(bench, 0, is_on=False)

    assert carry_out_impact(run.pk, clock=lambda: NOW)
    run.refresh_from_db()
    assert run.current_state is ImpactState.FAILED
    assert "switched off" in run.problem


def test_run__change_can_move_many_flags__asks_a_part(
    bench: Bench, request_: ChangeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = sample(bench)
    monkeypatch.setattr(service, "most_people", lambda flags: 5)
    run = counted(bench, request_, sampled=True)

    assert run.total == run.population["size"] == 5
    assert list(selectors.samples_of(bench.production.pk, 5).values_list("key_hash", flat=True)) == sorted(hashes)[:5]


def test_usable_samples__environment_does_not_sample__asks_nothing(
    bench: Bench, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        assert usable_samples(bench.production) == 0


def test_shares__hashed_keys__are_those_of_plain_keys() -> None:
    """A tenth of plain keys and a tenth of hashed ones are as many, give or take six deviations."""
    key, people = environment_key("secret", "one"), 20_000
    plain = [f"user-{number}" for number in range(people)]
    counts = [
        sum(hash_bytes(name.encode()) < (1 << 32) // 10 for name in names)
        for names in (plain, [hashed(name, key) for name in plain])
    ]

    assert all(abs(count - people / 10) < 6 * (people * 0.09) ** 0.5 for count in counts)


def test_sampled_contexts__an_attribute_of_that_name__never_is_the_key() -> None:
    (context,) = sampled_contexts([("hash", {"targetingKey": "MARKER", "plan": "pro"})])

    assert context == {"targetingKey": "hash", "plan": "pro"}


def test_described_sample__is_no_description_of_made_up_people() -> None:
    with pytest.raises(PopulationProblem):
        Population.from_json(described_sample(5))
    assert impact.NOTE in described_sample(5).values()
