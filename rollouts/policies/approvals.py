"""Pure: whose approvals count, how many are missing and who can still give one.

The four-eyes rule lives here and compares people by id. It knows neither superusers nor settings: whoever asked for a
change or edited it never approves it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollouts.policies.demands import Demand, DemandState, demands_of, states_of
from rollouts.policies.directories import Directory
from rollouts.policies.findings import Finding, demanded, refusals
from rollouts.policies.people import Approver, GivenApproval, ServiceYes

DEFAULT_REQUIRED_APPROVALS = 1
DEFAULT_EXPIRES_AFTER_HOURS = 336
MOST_APPROVALS = 10
LONGEST_EXPIRY_HOURS = 24 * 366


@dataclass(frozen=True, slots=True)
class Policy:
    """How many approvals a change needs and whose. `named_approvers` None: everybody with the role approver.

    An empty set is not None: two policies that name different people leave nobody.
    """

    required_approvals: int = DEFAULT_REQUIRED_APPROVALS
    named_approvers: frozenset[str] | None = None
    expires_after_hours: int = DEFAULT_EXPIRES_AFTER_HOURS

    def as_json(self) -> dict[str, Any]:
        """The form stored in a request's snapshot."""
        return {
            "required_approvals": self.required_approvals,
            "named_approvers": None if self.named_approvers is None else sorted(self.named_approvers),
            "expires_after_hours": self.expires_after_hours,
        }

    def problems(self) -> Iterator[tuple[str, str]]:
        """Field and sentence of every number that cannot be; a truth value is none."""
        required, hours = self.required_approvals, self.expires_after_hours
        if type(required) is not int or not 1 <= required <= MOST_APPROVALS:
            yield "required_approvals", f"Ask for 1 to {MOST_APPROVALS} approvals."
        elif self.named_approvers is not None and len(self.named_approvers) < required:
            named = len(self.named_approvers)
            message = f"{required} approvals are required, but only {named} named. Name more people or ask for fewer."
            yield "named_approvers", message
        if type(hours) is not int or not 1 <= hours <= LONGEST_EXPIRY_HOURS:
            yield "expires_after_hours", f"Let requests expire after 1 to {LONGEST_EXPIRY_HOURS} hours."

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Policy":
        """The policy in a snapshot. Raises KeyError where the snapshot is incomplete."""
        named = value["named_approvers"]
        return cls(
            int(value["required_approvals"]),
            None if named is None else frozenset(str(person) for person in named),
            int(value["expires_after_hours"]),
        )


@dataclass(frozen=True, slots=True)
class Case:
    """Everything a verdict depends on.

    `policy` is in force now, `submitted_policy` was at submit (None for drafts). `role_holders` are approvers now.
    `findings` are what the rules of the project say, of now and of submit; `directory` is who is in which team now.
    `objector_ids` asked for changes to the present content and did not take it back; `abstainer_ids` leave it alone.
    """

    requester_id: str
    contributor_ids: frozenset[str]
    digest: str
    policy: Policy
    submitted_policy: Policy | None
    role_holders: tuple[Approver, ...]
    approvals: tuple[GivenApproval, ...]
    findings: tuple[Finding, ...] = ()
    directory: Directory = field(default_factory=Directory)
    service_approvals: tuple[ServiceYes, ...] = ()
    objector_ids: frozenset[str] = frozenset()
    abstainer_ids: frozenset[str] = frozenset()

    @property
    def effective_policy(self) -> Policy:
        """The stricter of the policy now and the policy at submit."""
        return self.policy if self.submitted_policy is None else stricter(self.policy, self.submitted_policy)

    @property
    def required(self) -> int:
        """How many people must approve: the highest number of policy and rules."""
        return max(self.effective_policy.required_approvals, demanded(self.findings).approvals, 1)

    @property
    def demands(self) -> tuple[Demand, ...]:
        """The groups of people whom the rules demand approvals of."""
        return demands_of(self.findings, self.directory)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request has its approvals, who gave them and who can still give one that helps.

    `sentences` say all of it; `notes` are those that are neither the number nor the demands of rules.
    `missing` is the lowest number of people who still have to approve. `needs_service` says that a service account has
    to, and none did. `objectors` asked for changes, which nothing outweighs. Findings that refuse are no matter of
    approvals: they stop the submit and hold back the apply.
    """

    is_satisfied: bool
    required: int
    counted: tuple[Approver, ...]
    missing: int
    may_still_approve: tuple[Approver, ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...] = ()
    demands: tuple[DemandState, ...] = ()
    findings: tuple[Finding, ...] = ()
    needs_service: bool = False
    objectors: tuple[Approver, ...] = ()

    @property
    def is_reachable(self) -> bool:
        """Whether enough people are left to give what is missing."""
        return self.missing <= len(self.may_still_approve) and all(state.is_reachable for state in self.demands)

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """The findings that refuse the change."""
        return refusals(self.findings)


def stricter(first: Policy, second: Policy) -> Policy:
    """What satisfies both policies: the higher number, the people both accept, the shorter life."""
    named = first.named_approvers
    if named is None or second.named_approvers is None:
        named = second.named_approvers if named is None else named
    else:
        named &= second.named_approvers
    return Policy(
        max(first.required_approvals, second.required_approvals),
        named,
        min(first.expires_after_hours, second.expires_after_hours),
    )


def may_apply_at_once(case: Case, person_id: str) -> str | None:
    """None if no objection keeps the person from applying without approvals, else the sentence that says why."""
    if not case.objector_ids or person_id not in case.contributor_ids | {case.requester_id}:
        return None
    return (
        "Somebody asks for changes to this, and you had a hand in it, so you do not apply it past them. Edit it, or "
        "ask another editor or release manager to apply it."
    )


def may_approve(case: Case, person_id: str) -> str | None:
    """None if the person may approve the present content now, else the sentence that says why not and what to do."""
    if person_id == case.requester_id:
        return "You asked for this change, so somebody else has to approve it."
    if person_id in case.contributor_ids:
        return "You edited this change, so somebody else has to approve it."
    if person_id not in {holder.id for holder in case.role_holders}:
        return "You do not have the role approver in this environment. Ask an administrator of the environment for it."
    named = case.effective_policy.named_approvers
    if named is not None and person_id not in named and not _is_demanded(case, person_id):
        names = _names(holder for holder in case.role_holders if holder.id in named)
        return f"Only named people may approve this change{f': {names}' if names else ''}. Ask one of them."
    if any(given.approver_id == person_id and given.digest == case.digest for given in case.approvals):
        return "You approved this content already. It needs nothing more from you."
    if person_id in case.abstainer_ids:
        return "You abstained from this content, so others decide about it. A new round asks you again."
    return None


def may_object(case: Case, person_id: str) -> str | None:
    """None if the person may ask for changes to the present content now, else the sentence that says why not."""
    if person_id in case.contributor_ids | {case.requester_id}:
        return "You worked on this change. Edit it instead of asking for changes."
    if person_id not in {holder.id for holder in case.role_holders}:
        return "You do not have the role approver in this environment. Ask an administrator of the environment for it."
    if person_id in case.objector_ids:
        return "You asked for changes to this content already. It waits for an edit, or for you to take that back."
    return None


def may_lift(case: Case, person_id: str) -> str | None:
    """None if the person asked for changes to the present content and may take that back."""
    if person_id in case.objector_ids:
        return None
    return "You did not ask for changes to this content, so there is nothing to take back."


def may_abstain(case: Case, person_id: str) -> str | None:
    """None if the person may leave the decision about the present content to others: whoever could approve it."""
    if person_id in case.objector_ids:
        return "You asked for changes. Take that back first, then abstain."
    return may_approve(case, person_id)


def objectors(case: Case) -> tuple[Approver, ...]:
    """The people who hold the present content back, while they are approvers who did not work on it."""
    return tuple(person for person in _unbarred(case) if person.id in case.objector_ids)


def counted_approvers(case: Case) -> tuple[Approver, ...]:
    """The people whose approval counts now: of this content, still eligible, nobody who worked on it, each once."""
    eligible = {person.id: person for person in _welcome(case)}
    given = {approval.approver_id for approval in case.approvals if approval.digest == case.digest}
    return tuple(person for person_id, person in eligible.items() if person_id in given)


def judge(case: Case) -> Verdict:
    """The verdict on a request as things stand now."""
    counted, eligible = counted_approvers(case), _eligible(case)
    counting = [person for person in counted if person in eligible]
    lacking = max(case.required - len(counting), 0)
    left = tuple(person for person in _welcome(case) if person not in counted and person.id not in case.abstainer_ids)
    against = objectors(case)
    states = states_of(case.demands, approved=counted, left=left)
    missing = max([lacking, *(state.missing for state in states)])
    needs_service = demanded(case.findings).service and not _services(case)
    helpful = tuple(person for person in left if _helps(person, lacking, eligible, states))
    progress = _progress(case.required, tuple(counting), lacking, tuple(one for one in left if one in eligible))
    asides = [(False, sentence) for sentence in _objection(against)]
    asides += [(not needs_service, sentence) for sentence in _service_sentence(case, needs_service=needs_service)]
    parts = [*asides, (lacking == 0, progress), *((state.missing == 0, state.sentence) for state in states)]
    after = (*_policy_moved(case), *_void(case, counted))
    return Verdict(
        is_satisfied=missing == 0 and not needs_service and not against,
        required=case.required,
        counted=counted,
        missing=missing,
        # Where nothing is missing everybody may still add a yes, as ever.
        may_still_approve=helpful if missing else left,
        # What is missing comes first: lists show the first sentence only.
        sentences=(*(sentence for _, sentence in sorted(parts, key=lambda part: part[0])), *after),
        notes=(*(sentence for _, sentence in asides), *after),
        demands=states,
        findings=case.findings,
        needs_service=needs_service,
        objectors=against,
    )


def _objection(against: tuple[Approver, ...]) -> tuple[str, ...]:
    if not against:
        return ()
    they = f"{against[0].name} takes" if len(against) == 1 else "they take"
    return (f"{_names(against)} asked for changes: it waits until somebody edits it or {they} that back.",)


def _service_sentence(case: Case, *, needs_service: bool) -> tuple[str, ...]:
    names = ", ".join(sorted({finding.name for finding in case.findings if _asks_service(finding)}))
    if needs_service:
        return (f"“{names}” demands that a service account approves as well, over the API. None has.",)
    return (f"Approved by the service {', '.join(_services(case))}, as “{names}” demands.",) if names else ()


def _asks_service(finding: Finding) -> bool:
    return finding.requirement is not None and finding.requirement.service


def _services(case: Case) -> list[str]:
    return sorted({given.name for given in case.service_approvals if given.digest == case.digest})


def _helps(person: Approver, lacking: int, eligible: tuple[Approver, ...], states: tuple[DemandState, ...]) -> bool:
    """Whether this person's approval would bring the request further."""
    return bool(lacking and person in eligible) or any(state.missing and person in state.can for state in states)


def _welcome(case: Case) -> tuple[Approver, ...]:
    """Everybody whose approval counts for something: the policy's approvers, and whom a rule demands by name or team.

    A rule never lends anybody a vote in the number the policy asks for.
    """
    eligible = set(_eligible(case))
    return tuple(holder for holder in _unbarred(case) if holder in eligible or _is_demanded(case, holder.id))


def _is_demanded(case: Case, person_id: str) -> bool:
    return any(person_id in demand.member_ids for demand in case.demands)


def _unbarred(case: Case) -> tuple[Approver, ...]:
    barred = case.contributor_ids | {case.requester_id}
    unique = {holder.id: holder for holder in case.role_holders}
    return tuple(holder for holder in unique.values() if holder.id not in barred)


def _eligible(case: Case) -> tuple[Approver, ...]:
    named = case.effective_policy.named_approvers
    return tuple(holder for holder in _unbarred(case) if named is None or holder.id in named)


def _progress(required: int, counted: tuple[Approver, ...], missing: int, left: tuple[Approver, ...]) -> str:
    if not missing:
        return f"Has the {_approvals(required)} it needs: {_names(counted)}."
    need = f"Needs {missing} more {'approval' if missing == 1 else 'approvals'}."
    if missing <= len(left):
        return f"{need} Can approve: {_names(left)}."
    who = f"Only {_names(left)} can still approve" if left else "Nobody can give it"
    return (
        f"{need} {who}, so this request cannot be approved as things stand. Ask an administrator of the environment to "
        "give the role approver to somebody who did not work on this change, or to change the approval policy."
    )


def _policy_moved(case: Case) -> tuple[str, ...]:
    submitted, current = case.submitted_policy, case.policy
    if submitted is None or _rule(submitted) == _rule(current):
        return ()
    if submitted.required_approvals == current.required_approvals:
        return ("The named approvers changed since this was submitted; only people both policies accept count.",)
    return (
        f"The policy asked for {_approvals(submitted.required_approvals)} when this was submitted and asks for "
        f"{current.required_approvals} now; the stricter one counts.",
    )


def _void(case: Case, counted: tuple[Approver, ...]) -> tuple[str, ...]:
    counting = {person.id for person in counted}
    current = {given.approver_id for given in case.approvals if given.digest == case.digest}
    earlier = {given.approver_id: given.name for given in case.approvals if given.approver_id not in current}
    lapsed = {
        given.approver_id: given.name
        for given in case.approvals
        if given.approver_id in current and given.approver_id not in counting
    }
    sentences = []
    if earlier:
        sentences.append(
            f"Approved before the last edit, which no longer counts: {', '.join(sorted(earlier.values()))}."
        )
    if lapsed:
        sentences.append(f"May not approve this any more, so does not count: {', '.join(sorted(lapsed.values()))}.")
    return tuple(sentences)


def _rule(policy: Policy) -> tuple[int, frozenset[str] | None]:
    return policy.required_approvals, policy.named_approvers


def _approvals(number: int) -> str:
    return f"{number} approval" if number == 1 else f"{number} approvals"


def _names(people: Iterable[Approver]) -> str:
    return ", ".join(person.name for person in people)
