"""Whose approvals count: tables over the pure judge."""

import dataclasses

import pytest

from rollouts.policies import Approver, Case, GivenApproval, Policy, counted_approvers, judge, may_approve, stricter

ABEL, ANNA, BEN = Approver("abel", "Abel Test"), Approver("anna", "Anna Test"), Approver("ben", "Ben Okafor")
RITA = Approver("rita", "Rita Test")
NOW_DIGEST, OLD_DIGEST = "d" * 64, "0" * 64


def case(**fields: object) -> Case:
    """Rita asks, Abel and Anna are approvers, one approval is needed and none was given."""
    basis = Case(
        requester_id="rita",
        contributor_ids=frozenset({"rita"}),
        digest=NOW_DIGEST,
        policy=Policy(),
        submitted_policy=Policy(),
        role_holders=(ABEL, ANNA),
        approvals=(),
    )
    return dataclasses.replace(basis, **fields)  # type: ignore[arg-type]


def given(*people: Approver, digest: str = NOW_DIGEST) -> tuple[GivenApproval, ...]:
    """Approvals of these people."""
    return tuple(GivenApproval(person.id, person.name, digest) for person in people)


COUNTING = {
    "nobody said yes": (case(), []),
    "an approver said yes": (case(approvals=given(ABEL)), ["abel"]),
    "two said yes": (case(approvals=given(ANNA, ABEL)), ["abel", "anna"]),
    "one said yes twice": (case(approvals=given(ABEL, ABEL)), ["abel"]),
    "yes to earlier content": (case(approvals=given(ABEL, digest=OLD_DIGEST)), []),
    "yes to both contents": (case(approvals=given(ABEL, digest=OLD_DIGEST) + given(ABEL)), ["abel"]),
    "lost the role": (case(approvals=given(BEN)), []),
    "requester with the role": (case(role_holders=(RITA, ABEL), approvals=given(RITA)), []),
    "requester missing among contributors": (
        case(contributor_ids=frozenset(), role_holders=(RITA,), approvals=given(RITA)),
        [],
    ),
    "became an editor after saying yes": (case(contributor_ids=frozenset({"rita", "abel"}), approvals=given(ABEL)), []),
    "not named": (case(policy=Policy(1, frozenset({"anna"})), approvals=given(ABEL)), []),
    "named": (case(policy=Policy(1, frozenset({"abel"})), approvals=given(ABEL)), ["abel"]),
    "named at submit only": (
        case(
            submitted_policy=Policy(1, frozenset({"abel"})),
            policy=Policy(1, frozenset({"anna"})),
            approvals=given(ABEL, ANNA),
        ),
        [],
    ),
    "named without the role": (case(policy=Policy(1, frozenset({"ben"})), approvals=given(BEN)), []),
    "listed twice as holder": (case(role_holders=(ABEL, ABEL), approvals=given(ABEL)), ["abel"]),
}


@pytest.mark.parametrize("name", COUNTING)
def test_judge__approvals__count_by_the_table(name: str) -> None:
    subject, expected = COUNTING[name]

    verdict = judge(subject)

    assert [person.id for person in verdict.counted] == expected
    assert counted_approvers(subject) == verdict.counted
    assert verdict.is_satisfied == (len(expected) >= verdict.required)
    assert verdict.missing == max(verdict.required - len(expected), 0)


STRICTER = [
    (Policy(1), Policy(2), Policy(2)),
    (Policy(3), Policy(2), Policy(3)),
    (Policy(1, None), Policy(1, frozenset({"a"})), Policy(1, frozenset({"a"}))),
    (Policy(1, frozenset({"a", "b"})), Policy(2, frozenset({"b", "c"})), Policy(2, frozenset({"b"}))),
    (Policy(1, frozenset({"a"})), Policy(1, frozenset({"b"})), Policy(1, frozenset())),
    (Policy(1, None, 10), Policy(1, None, 20), Policy(1, None, 10)),
]


@pytest.mark.parametrize(("first", "second", "expected"), STRICTER)
def test_stricter__any_two__satisfies_both_in_either_order(first: Policy, second: Policy, expected: Policy) -> None:
    assert stricter(first, second) == stricter(second, first) == expected
    assert stricter(expected, first) == expected


def test_policy__through_json__is_the_same() -> None:
    for policy in (Policy(), Policy(3, frozenset({"b", "a"}), 5), Policy(1, frozenset())):
        assert Policy.from_json(policy.as_json()) == policy


REFUSALS = {
    "requester": (case(role_holders=(RITA,)), "rita", "You asked for this change"),
    "editor": (case(contributor_ids=frozenset({"rita", "abel"})), "abel", "You edited this change"),
    "no role": (case(), "ben", "You do not have the role approver"),
    "not named": (
        case(policy=Policy(1, frozenset({"anna"}))),
        "abel",
        "Only named people may approve this change: Anna",
    ),
    "nobody named is left": (
        case(policy=Policy(1, frozenset({"x"}))),
        "abel",
        "Only named people may approve this change. Ask one",
    ),
    "said yes": (case(approvals=given(ABEL)), "abel", "You approved this content already"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_may_approve__refused__says_why(name: str) -> None:
    subject, person, start = REFUSALS[name]

    refusal = may_approve(subject, person)

    assert refusal is not None
    assert refusal.startswith(start)


@pytest.mark.parametrize(
    "subject", [case(), case(approvals=given(ABEL, digest=OLD_DIGEST)), case(approvals=given(ANNA))]
)
def test_may_approve__eligible_person__is_not_refused(subject: Case) -> None:
    assert may_approve(subject, "abel") is None


SENTENCES = [
    (case(), ["Needs 1 more approval. Can approve: Abel Test, Anna Test."]),
    (case(policy=Policy(2), submitted_policy=None), ["Needs 2 more approvals. Can approve: Abel Test, Anna Test."]),
    (case(approvals=given(ABEL)), ["Has the 1 approval it needs: Abel Test."]),
    (
        case(policy=Policy(2), approvals=given(ABEL)),
        [
            "Needs 1 more approval. Can approve: Anna Test.",
            "The policy asked for 1 approval when this was submitted and asks for 2 now; the stricter one counts.",
        ],
    ),
    (
        case(approvals=given(ABEL, digest=OLD_DIGEST) + given(BEN)),
        [
            "Needs 1 more approval. Can approve: Abel Test, Anna Test.",
            "Approved before the last edit, which no longer counts: Abel Test.",
            "May not approve this any more, so does not count: Ben Okafor.",
        ],
    ),
]


@pytest.mark.parametrize(("subject", "expected"), SENTENCES)
def test_judge__sentences__say_what_is_missing_and_who_can_give_it(subject: Case, expected: list[str]) -> None:
    assert list(judge(subject).sentences) == expected


@pytest.mark.parametrize(
    ("subject", "start"),
    [
        (case(role_holders=()), "Needs 1 more approval. Nobody can give it, so this request cannot be approved"),
        (case(role_holders=(RITA,)), "Needs 1 more approval. Nobody can give it, so"),
        (
            case(policy=Policy(3)),
            "Needs 3 more approvals. Only Abel Test, Anna Test can still approve, so this request",
        ),
    ],
)
def test_judge__nobody_could_satisfy_it__warns_and_says_what_to_do(subject: Case, start: str) -> None:
    verdict = judge(subject)

    assert not verdict.is_reachable
    assert verdict.sentences[0].startswith(start)
    assert "Ask an administrator" in verdict.sentences[0]
