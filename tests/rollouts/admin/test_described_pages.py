"""The pages about flags and teams where rules look at them: what editors are told, what administrators propose."""

from typing import Any

import pytest
from django.urls import reverse

from flags.models import Flag, TeamMember
from flags.permissions import Role
from flags.services.flags import update_flag
from flags.services.teams import create_team
from rollouts.models import SettingsProposal
from rollouts.policies import Requirement
from rollouts.policies.requirements import TeamDemand
from rollouts.services.rules import set_rule
from tests.factories import NOW, World, actor_of
from tests.rollouts.rule_support import condition, rule
from tests.rollouts.support import Bench
from tests.support.admin import signed_in, text_of


@pytest.fixture
def watched(bench: Bench) -> Flag:
    """A flag that a rule looks at by its tag; Otto administers production beside Ada."""
    update_flag(bench.flag.pk, actor=actor_of(bench.world.rita), now=NOW, tags=["pci"])
    put(bench.world, rule("cards", name="Cards", conditions=(condition("tags", tags=["pci"]),)))
    bench.world.grant(bench.world.otto, bench.production, Role.ADMINISTRATOR)
    return Flag.objects.get(pk=bench.flag.pk)


def put(world: World, subject: Any) -> None:
    """Ada writes the rule."""
    document = subject.as_json()
    set_rule(world.project.pk, key=subject.key, document=document, actor=actor_of(world.ada), reason="Test", now=NOW)


def page(flag: Flag) -> str:
    return reverse("admin:flags_flag_edit", args=[flag.pk])


def test_edit__tag_that_a_rule_names__an_editor_is_told_who_may(watched: Flag, bench: Bench) -> None:
    client = signed_in(bench.world.rita)
    assert "What rules and freezes look at" not in text_of(client.get(page(watched)))

    text = text_of(client.post(page(watched), {"name": "Renamed", "kind": watched.kind, "tags": "web", "links": ""}))

    assert "could pass the rule “Cards”" in text
    assert "another one confirms" in text
    watched.refresh_from_db()
    assert (watched.name, watched.tags) == ("Checkout redesign", ["pci"])


def test_edit__administrators__propose_and_confirm(watched: Flag, bench: Bench) -> None:
    client = signed_in(bench.world.ada)
    assert "What rules and freezes look at" in text_of(client.get(page(watched)))
    sent = {"act": "rules", "rules-kind": watched.kind, "rules-tags": "web", "rules-owner_team": ""}
    assert "Fill this in" in text_of(client.post(page(watched), sent))

    answer = client.post(page(watched), {**sent, "rules-reason": "Takes no cards any more"})

    proposal = SettingsProposal.objects.get()
    assert answer["Location"] == reverse("admin:rollouts_settingsproposal_change", args=[proposal.pk])
    second = signed_in(bench.world.otto)
    text = text_of(second.get(answer["Location"]))
    assert "Tags: web. Until now: pci." in text
    assert "could then pass the rule “Cards”" in text
    second.post(answer["Location"], {"act": "confirm", "digest": proposal.digest})
    watched.refresh_from_db()
    assert watched.tags == ["web"]


def test_edit__nothing_could_pass__is_in_force_at_once(watched: Flag, bench: Bench) -> None:
    sent = {"act": "rules", "rules-kind": "permission", "rules-tags": "pci, web", "rules-reason": "Clearer"}

    answer = signed_in(bench.world.ada).post(page(watched), sent)

    assert answer["Location"] == reverse("admin:flags_flag_change", args=[watched.pk])
    watched.refresh_from_db()
    assert (watched.kind, watched.tags) == ("permission", ["pci", "web"])


def test_team__that_a_rule_demands__a_member_is_proposed(bench: Bench) -> None:
    world = bench.world
    world.grant(world.otto, bench.production, Role.ADMINISTRATOR)
    team = create_team(world.project.pk, actor=actor_of(world.ada), key="security", name="Security", now=NOW)
    demand = Requirement(teams=(TeamDemand(str(team.pk), 1),))
    put(world, rule("heard", conditions=(condition("direction"),), requirement=demand))
    address = reverse("admin:flags_team_change", args=[team.pk])

    answer = signed_in(world.ada).post(address, {"act": "add", "person": str(world.abel.pk), "reason": "Joined"})

    proposal = SettingsProposal.objects.get()
    assert answer["Location"] == reverse("admin:rollouts_settingsproposal_change", args=[proposal.pk])
    assert not TeamMember.objects.exists()
    second = signed_in(world.otto)
    assert "as a member of Security, which the rule" in text_of(second.get(answer["Location"]))
    second.post(answer["Location"], {"act": "confirm", "digest": proposal.digest})
    assert TeamMember.objects.get().person == world.abel
