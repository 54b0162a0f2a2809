"""Past requests as the replay of a rule needs them: with the facts that were stored, or what can still be said."""

import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractUser

from flags.models import Flag, Project
from rollouts.models import Approval, ChangeRequest
from rollouts.policies import Rule
from rollouts.policies.replay import Outcome, PastRequest, ReplayLine, replay
from rollouts.selectors.facts import known_facts
from rollouts.selectors.lists import visible_requests
from rollouts.selectors.rules import directory_of, service_approvals, stored_facts

LONGEST_REPLAY = 500


@dataclass(frozen=True, slots=True)
class ReplayedRequest:
    """A past request and what the rule would have done with it."""

    request: ChangeRequest
    line: ReplayLine


@dataclass(frozen=True, slots=True)
class Replay:
    """The answer: every request the rule would have applied to, and how many it looked at."""

    days: int
    looked_at: int
    lines: tuple[ReplayedRequest, ...]

    @property
    def different(self) -> tuple[ReplayedRequest, ...]:
        """Those that certainly would not have come through as they did."""
        return tuple(item for item in self.lines if item.line.outcome.is_different and not item.line.unknown)

    @property
    def refused(self) -> tuple[ReplayedRequest, ...]:
        """Those of `different` that would have been refused."""
        return tuple(item for item in self.different if item.line.outcome is Outcome.REFUSED)

    @property
    def waited(self) -> tuple[ReplayedRequest, ...]:
        """Those of `different` that would have needed more approvals than they had."""
        return tuple(item for item in self.different if item.line.outcome is Outcome.WAITED)

    @property
    def uncertain(self) -> tuple[ReplayedRequest, ...]:
        """Those that perhaps would not have."""
        return tuple(item for item in self.lines if item.line.outcome.is_different and item.line.unknown)


def replay_rule(rule: Rule, project: Project, user: AbstractUser, *, days: int, now: datetime) -> Replay:
    """What `rule` would have done with the requests submitted in the last `days`, the latest first.

    Only requests the person may look at, 500 at most: eight queries.
    """
    rows = visible_requests(user).filter(project=project, submitted_at__gt=now - timedelta(days=days))
    requests = {str(request.pk): request for request in rows.order_by("-submitted_at")[:LONGEST_REPLAY]}
    past = _past(list(requests.values()))
    lines = replay(rule, past, directory_of([project.pk], [rule]))
    return Replay(days, len(requests), tuple(ReplayedRequest(requests[line.id], line) for line in lines))


def _past(requests: Collection[ChangeRequest]) -> list[PastRequest]:
    stored = stored_facts(requests)
    services = service_approvals(requests)
    approvals: dict[uuid.UUID, set[str]] = defaultdict(set)
    digests = {request.pk: request.digest for request in requests}
    given = Approval.objects.filter(request__in=digests).values_list("request_id", "approver_id", "digest")
    for request_id, person, digest in given:
        if digest == digests[request_id]:
            approvals[request_id].add(str(person))
    flags = Flag.objects.filter(project__in={request.project_id for request in requests})
    kinds = {(flag.project_id, flag.key): flag for flag in flags}
    return [
        PastRequest(
            str(request.pk),
            stored.get(request.pk) or known_facts(request, kinds),
            frozenset(approvals[request.pk]),
            any(yes.digest == request.digest for yes in services.get(request.pk, ())),
        )
        for request in requests
    ]
