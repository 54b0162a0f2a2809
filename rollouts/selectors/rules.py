"""The rules of projects, the teams and people they name, and what they said about requests."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from django.contrib.auth import get_user_model

from flags.models import Team, TeamMember
from rollouts.models import ChangeRequest, Judgement, PolicyRule, ServiceApproval
from rollouts.policies import Directory, Facts, Finding, Rule, ServiceYes, findings_of
from rollouts.policies import Team as TeamFacts
from rollouts.policies.findings import demanded
from rollouts.policies.rules import active

Rules = tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Ruled:
    """What the rules say about one request, and what it takes to read that."""

    findings: tuple[Finding, ...] = ()
    directory: Directory = field(default_factory=Directory)
    service_approvals: tuple[ServiceYes, ...] = ()


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


def stored_rules(requests: Collection[ChangeRequest]) -> dict[uuid.UUID, Rules]:
    """Every rule that judged these requests since their submit: one query."""
    found: dict[uuid.UUID, list[Rule]] = defaultdict(list)
    rows = Judgement.objects.filter(request__in=[request.pk for request in requests])
    for request_id, rules in rows.values_list("request_id", "rules"):
        found[request_id] += [Rule.from_json(item, key=item["key"], version=item["version"]) for item in rules]
    return {pk: tuple(rules) for pk, rules in found.items()}


def stored_facts(requests: Collection[ChangeRequest]) -> dict[uuid.UUID, Facts]:
    """The latest facts that were stored about the present content of these requests: one query."""
    digests = {request.pk: request.digest for request in requests}
    rows = Judgement.objects.filter(request__in=digests).order_by("created_at", "id")
    return {
        request_id: Facts.from_json(facts)
        for request_id, digest, facts in rows.values_list("request_id", "digest", "facts")
        if digest == digests[request_id]
    }


def ruled(
    requests: Collection[ChangeRequest], *, read: Callable[[ChangeRequest], Facts] | None = None
) -> dict[uuid.UUID, Ruled]:
    """What the rules say about these requests: those of now and those at submit, the stricter of both.

    Looks at the facts that were stored with the present content, or at those that `read` gives. Two queries where there
    are no rules, else two to five more, beside those of `read`.
    """
    projects = {request.project_id for request in requests}
    present, former = rules_of(projects), stored_rules(requests)
    every = {
        request.pk: active([*present.get(request.project_id, ()), *former.get(request.pk, ())]) for request in requests
    }
    if not any(every.values()):
        return {request.pk: Ruled() for request in requests}
    directory = directory_of(projects, [rule for rules in every.values() for rule in rules])
    findings, stored = {}, {} if read else stored_facts(requests)
    for request in requests:
        facts = read(request) if read and every[request.pk] else stored.get(request.pk)
        findings[request.pk] = findings_of(every[request.pk], facts, directory) if facts else ()
    services = {}
    if any(demanded(found).service for found in findings.values()):
        services = service_approvals([request.pk for request in requests])
    return {pk: Ruled(found, directory, services.get(pk, ())) for pk, found in findings.items()}


def service_approvals(requests: Collection[uuid.UUID]) -> dict[uuid.UUID, tuple[ServiceYes, ...]]:
    """What services said yes to, with tokens that nobody revoked since: one query."""
    given: dict[uuid.UUID, list[ServiceYes]] = defaultdict(list)
    for row in ServiceApproval.objects.filter(request__in=list(requests), token__revoked_at=None):
        given[row.request_id].append(ServiceYes(row.token_name, row.digest))
    return {pk: tuple(found) for pk, found in given.items()}


def _people(rules: Iterable[Rule]) -> dict[str, str]:
    wanted = {person for rule in rules for demand in rule.requirement.people for person in demand.ids}
    if not wanted:
        return {}
    return {
        str(row.pk): row.get_full_name() or row.get_username() for row in get_user_model().objects.filter(pk__in=wanted)
    }
