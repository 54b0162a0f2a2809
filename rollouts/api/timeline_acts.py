"""What people do with deprecation timelines over the API: each act, what a body says for it, and the service."""

from datetime import datetime

from rest_framework import serializers

from flags.evaluation.instants import parse_instant
from rollouts.api import acting
from rollouts.api.acting import Act, Subject, act_addresses
from rollouts.api.timeline_shapes import TimelineDetailSerializer
from rollouts.api.timelines import shape_of, timeline_for
from rollouts.deprecations.checking import MAX_MILESTONES
from rollouts.services.timelines import acting as services
from rollouts.services.timelines.drafting import propose_timeline, recall_timeline

Facts = dict[str, object]
_DIGEST = "3f1c0a5e" * 8


class InstantField(serializers.DateTimeField):
    """An instant that names its offset: without one, or without a time, it would be a guess."""

    def to_internal_value(self, value: object) -> datetime:
        """The instant, or the sentence that says how to write one."""
        found = parse_instant(value)
        if found is None:
            raise serializers.ValidationError(
                "Give a date and time with its offset from UTC, such as 2026-09-14T09:00:00+02:00."
            )
        return found


def _why(*, is_needed: bool = False) -> serializers.CharField:
    if is_needed:
        return serializers.CharField(max_length=4000, help_text="Why.")
    return serializers.CharField(max_length=4000, required=False, allow_blank=True, default="", help_text="Why.")


def _digest() -> serializers.RegexField:
    return serializers.RegexField(r"^[0-9a-f]{64}\Z", help_text="The timeline's `digest` as read.")


class TimelineReasonInput(serializers.Serializer[Facts]):
    """An act that asks nothing of where the timeline stands."""

    reason = _why()


class TimelineDigestInput(serializers.Serializer[Facts]):
    """An act on exactly the content that was read."""

    digest = _digest()
    reason = _why()


class TimelineActInput(serializers.Serializer[Facts]):
    """An act on a timeline that stands where it was read."""

    sequence = serializers.IntegerField(
        min_value=0, max_value=2**31 - 1, help_text="The timeline's `sequence` as read."
    )
    reason = _why()


class TimelineApprovalInput(TimelineActInput):
    """A yes to exactly the content that was read, where the timeline stands."""

    digest = _digest()


class TimelineEndInput(TimelineActInput):
    """A way back, with why."""

    reason = _why(is_needed=True)


class TimelineUndoInput(TimelineEndInput):
    """A way back to an earlier milestone."""

    to_milestone = serializers.IntegerField(
        min_value=0, max_value=MAX_MILESTONES, help_text="The milestone to go back to; 0 is how it was before."
    )


class TimelinePostponeInput(TimelineEndInput):
    """A later date."""

    number = serializers.IntegerField(
        min_value=1, max_value=MAX_MILESTONES, help_text="The milestone that comes later; it lies ahead."
    )
    to = InstantField(help_text="Its new date, with the offset from UTC.")
    with_later = serializers.BooleanField(
        required=False, default=True, help_text="Whether those after it come later by as much."
    )


_SUBJECT = Subject(
    address="timelines/<uuid:timeline_id>",
    name="timeline",
    find=timeline_for,
    shape=shape_of,
    serializer=TimelineDetailSerializer,
    refusals={
        **acting.REFUSALS,
        403: "Only people act on timelines: a token may not, nor who lacks the role that the act takes, nor who shaped "
        "what is to be approved. A session needs the header X-CSRFToken.",
        404: "There is no such timeline, or the caller has no role in its environment.",
        409: "The timeline is not as it was read, this is not possible in its present state, or something stands in "
        "its way; `code` says what.",
        422: "The dates are not possible; `problems` names each.",
    },
)
ADDRESSES = act_addresses(
    _SUBJECT,
    (
        Act(
            "propose",
            "propose_timeline",
            "Propose a deprecation timeline",
            "Asks for the approval of a draft by a change request; with its last approval the timeline starts. Takes "
            "the role editor.",
            propose_timeline,
            TimelineDigestInput,
            {"digest": _DIGEST, "reason": "Everybody has the new checkout."},
        ),
        Act(
            "recall",
            "recall_timeline",
            "Take a proposed deprecation timeline back",
            "It is a draft again, and its change request is withdrawn. Takes the right to withdraw that.",
            recall_timeline,
            TimelineReasonInput,
            {"reason": "The dates are too early."},
        ),
        Act(
            "start",
            "start_timeline",
            "Start a deprecation timeline",
            "A draft where the environment is not protected, else a proposed one whose request is approved. Takes the "
            "role editor or release manager; release manager for an approved one.",
            services.start_timeline,
            TimelineDigestInput,
            {"digest": _DIGEST},
        ),
        Act(
            "approve",
            "approve_milestone",
            "Approve the next milestone of a deprecation timeline",
            "Takes the role approver. Where figures are missing that the milestone asks about, it takes a reason.",
            services.approve_milestone,
            TimelineApprovalInput,
            {"sequence": 7, "digest": _DIGEST, "reason": "Billing has moved on; its owner says so."},
        ),
        Act(
            "postpone",
            "postpone_milestone",
            "Postpone a milestone of a deprecation timeline",
            "This milestone comes later, and those after it by as much unless told otherwise. Takes the role editor "
            "or release manager.",
            services.postpone,
            TimelinePostponeInput,
            {"sequence": 7, "number": 3, "to": "2026-09-14T09:00:00+02:00", "reason": "Billing needs two more weeks."},
        ),
        Act(
            "pause",
            "pause_timeline",
            "Pause a deprecation timeline",
            "Nothing moves until somebody resumes it; a brownout ends at its time. Takes the role editor or release "
            "manager.",
            services.pause,
            TimelineActInput,
            {"sequence": 7},
        ),
        Act(
            "resume",
            "resume_timeline",
            "Resume a deprecation timeline",
            "It goes on once its dates lie ahead. Takes the role editor or release manager; after an undo release "
            "manager, and a reason.",
            services.resume,
            TimelineActInput,
            {"sequence": 8, "reason": "Billing is ready."},
        ),
        Act(
            "undo",
            "undo_timeline",
            "Undo milestones of a deprecation timeline",
            "Goes back to an earlier milestone and stops there. Takes the role editor or release manager.",
            services.undo,
            TimelineUndoInput,
            {"sequence": 9, "to_milestone": 2, "reason": "Billing breaks in the brownout."},
        ),
        Act(
            "end",
            "end_timeline",
            "End a deprecation timeline",
            "Gives it up for good: all of it is undone, and an open request for it is withdrawn. Takes the role editor "
            "or release manager.",
            services.end_timeline,
            TimelineEndInput,
            {"sequence": 9, "reason": "We keep this flag."},
        ),
    ),
)
