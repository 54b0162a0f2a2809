"""The rules of projects, the teams and people they name, and what they said about requests."""

import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth import get_user_model
from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from flags.models import Team, TeamMember
from rollouts.models import ChangeRequest, Judgement, PolicyRule, ServiceApproval
from rollouts.policies import Directory, Facts, Finding, Rule, ServiceYes, findings_of
from rollouts.policies import Team as TeamFacts
from rollouts.policies.facts import remembering
from rollouts.policies.findings import demanded
from rollouts.policies.rules import active

Rules = tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Ruled:
    """What the rules say about one request, and what it takes to read that. `facts` None: there are no rules."""

    findings: tuple[Finding, ...] = ()
    directory: Directory = field(default_factory=Directory)
    service_approvals: tuple[ServiceYes, ...] = ()
    facts: Facts | None = None


@dataclass(slots=True)
class Judged:
    """The rules that judged one request since its submit, and the facts that they saw, the oldest first."""

    rules: list[Rule] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)


def rules_of(projects: Collection[uuid.UUID]) -> dict[uuid.UUID, Rules]:
    """The rules of projects, active or not: one query."""
    found: dict[uuid.UUID, list[Rule]] = defaultdict(list)
    for row in PolicyRule.objects.filter(project__in=list(projects)).order_by("key"):
        found[row.project_id].append(rule_of(row))
    return {project: tuple(rules) for project, rules in found.items()}


def active_rules(project_id: uuid.UUID) -> Rules:
    """The rules of a project that count now: one query."""
    return tuple(rule for rule in rules_of([project_id]).get(project_id, ()) if rule.is_active)


def rule_of(row: PolicyRule) -> Rule:
    """The rule a row holds."""
    return Rule.from_json(row.document, key=row.key, version=row.version)


def directory_of(projects: Collection[uuid.UUID], rules: Iterable[Rule] = ()) -> Directory:
    """The teams of projects with their active members, and the people whom `rules` name: two queries, or three."""
    names = dict(Team.objects.filter(project__in=list(projects)).values_list("pk", "name"))
    members: dict[uuid.UUID, set[str]] = defaultdict(set)
    rows = TeamMember.objects.filter(team__in=names, removed_at=None, person__is_active=True)
    for team, person in rows.values_list("team_id", "person_id"):
        members[team].add(str(person))
    teams = {str(pk): TeamFacts(name, frozenset(members[pk])) for pk, name in names.items()}
    return Directory(teams, _people(rules))


def judgements_of(requests: Collection[ChangeRequest]) -> dict[uuid.UUID, Judged]:
    """Every rule that judged these requests since their submit, and what it saw: one query."""
    found: dict[uuid.UUID, Judged] = defaultdict(Judged)
    read: dict[str, Rules] = {}  # most judgements hold the same rules, word for word
    rows = Judgement.objects.filter(request__in=[request.pk for request in requests]).order_by("created_at", "id")
    for request_id, text, facts in rows.values_list("request_id", Cast("rules", TextField()), "facts"):
        if text not in read:
            read[text] = _stored_rules(text)
        found[request_id].rules += read[text]
        found[request_id].facts.append(Facts.from_json(facts))
    return found


def _stored_rules(text: str) -> Rules:
    return tuple(Rule.from_json(item, key=item["key"], version=item["version"]) for item in json.loads(text))


def stored_facts(requests: Collection[ChangeRequest]) -> dict[uuid.UUID, Facts]:
    """The latest facts that were stored about the present content of these requests: one query."""
    digests = {request.pk: request.digest for request in requests}
    rows = Judgement.objects.filter(request__in=digests).order_by("created_at", "id")
    latest = {
        request_id: facts
        for request_id, digest, facts in rows.values_list("request_id", "digest", "facts")
        if digest == digests[request_id]
    }
    return {request_id: Facts.from_json(facts) for request_id, facts in latest.items()}


def ruled(
    requests: Collection[ChangeRequest],
    *,
    read: Callable[[ChangeRequest], Facts] | None = None,
    now: datetime | None = None,
) -> dict[uuid.UUID, Ruled]:
    """What the rules say about these requests: those of now and those at submit, the stricter of both.

    Looks at the facts that were stored with the present content, or at those that `read` gives, and at what the flags
    were since the submit. Two queries where there are no rules, else two to five more, beside those of `read`.
    """
    projects = {request.project_id for request in requests}
    present, former = rules_of(projects), judgements_of(requests)
    every = {
        request.pk: active([*present.get(request.project_id, ()), *former[request.pk].rules]) for request in requests
    }
    if not any(every.values()):
        return {request.pk: Ruled() for request in requests}
    directory = directory_of(projects, [rule for rules in every.values() for rule in rules])
    stored = {} if read else stored_facts(requests)
    seen: dict[uuid.UUID, Facts] = {}
    for request in requests:
        facts = read(request) if read and every[request.pk] else stored.get(request.pk)
        if facts:
            seen[request.pk] = remembering(facts, former[request.pk].facts)
    findings = {pk: findings_of(every[pk], facts, directory) for pk, facts in seen.items()}
    services = {}
    if any(demanded(found).service for found in findings.values()):
        services = service_approvals(requests, now=now)
    return {pk: Ruled(findings.get(pk, ()), directory, services.get(pk, ()), seen.get(pk)) for pk in every}


def service_approvals(
    requests: Collection[ChangeRequest], *, now: datetime | None = None
) -> dict[uuid.UUID, tuple[ServiceYes, ...]]:
    """What services said yes to with tokens that are valid still: one query. Without `now` the clock decides.

    A token that somebody who shaped the request had issued does not count, whenever it spoke.
    """
    shapers = {request.pk: request.contributor_ids for request in requests}
    given: dict[uuid.UUID, list[ServiceYes]] = defaultdict(list)
    valid = Q(token__expires_at=None) | Q(token__expires_at__gt=now or timezone.now())
    rows = ServiceApproval.objects.filter(valid, request__in=shapers, token__revoked_at=None)
    for row in rows.select_related("token"):
        if str(row.token.created_by_id) not in shapers[row.request_id]:
            given[row.request_id].append(ServiceYes(row.token_name, row.digest))
    return {pk: tuple(found) for pk, found in given.items()}


def _people(rules: Iterable[Rule]) -> dict[str, str]:
    wanted = {person for rule in rules for demand in rule.requirement.people for person in demand.ids}
    if not wanted:
        return {}
    return {
        str(row.pk): row.get_full_name() or row.get_username() for row in get_user_model().objects.filter(pk__in=wanted)
    }
