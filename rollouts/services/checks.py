"""Checks on what people hand in: texts, schedules and change sets."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flags.changes import ChangeSet, change_digest
from flags.errors import InvalidInput, StaleChange
from flags.models import Environment
from flags.services.configs import validate_change_set
from flags.services.keys import checked_text, problem
from rollouts.errors import PartOfPlan
from rollouts.models import ChangeRequest
from rollouts.selectors.reliance import STRICT_MODE, relied_on

LONGEST_TITLE = 200
LONGEST_TEXT = 4000
LONGEST_ADDRESS = 500
MOST_EDITS = 50
# A restore touches whatever changed since, and it is all of it or nothing.
MOST_RESTORED = 1_000
FURTHEST_SCHEDULE = timedelta(days=366)


def checked_title(title: str) -> str:
    """A title of one line. Raises InvalidInput."""
    title = checked_prose(title, field="title", longest=LONGEST_TITLE, required=True)
    if "\n" in title or "\r" in title:
        raise problem("title", "Put the title on one line.")
    return title


def checked_prose(text: str, *, field: str, longest: int = LONGEST_TEXT, required: bool = False) -> str:
    """A text of bounded length without control or reordering characters. Raises InvalidInput."""
    return checked_text(text, field=field, longest=longest, required=required)


def checked_ticket(address: str) -> str:
    """The address of a ticket, empty for none. Raises InvalidInput for anything but http and https."""
    address = checked_prose(address, field="ticket", longest=LONGEST_ADDRESS)
    if not address:
        return ""
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(char.isspace() for char in address):
        raise problem("ticket_url", "Give the whole address of the ticket, such as https://tickets.example.com/42.")
    return address


def checked_schedule(apply_at: datetime | None, *, now: datetime) -> datetime | None:
    """The instant in UTC, None for as soon as approved. Raises InvalidInput for one that has passed or is far away."""
    if apply_at is None:
        return None
    if apply_at.utcoffset() is None:
        raise problem("apply_at", "Say in which time zone the time is meant.")
    try:
        apply_at = apply_at.astimezone(UTC)
    except OverflowError:
        raise problem(
            "apply_at", "The calendar does not reach this time. Choose one within the next 366 days."
        ) from None
    if apply_at <= now:
        raise problem(
            "apply_at", "This time has passed. Choose a later one, or none: then it is applied once approved."
        )
    if apply_at - now > FURTHEST_SCHEDULE:
        raise problem("apply_at", "Choose a time within the next 366 days.")
    return apply_at


def checked_change_set(change_set: ChangeSet, environment: Environment, *, source: Mapping[str, Any]) -> ChangeSet:
    """The change set in normal form. Raises InvalidDocument or InvalidInput; base versions are not compared here.

    `source` is that of the request: one that puts an environment back, or comes of a manifest, may hold more edits than
    people write.
    """
    if _as_uuid(change_set.environment_id) != environment.pk:
        raise problem("environment_id", f"This change was prepared for another environment than {environment.name}.")
    most = MOST_RESTORED if source.get("kind") in {"restore", "manifest"} else MOST_EDITS
    if len(change_set.edits) > most:
        raise problem("edits", f"Change {most} flags and segments at most in one request.")
    normal = ChangeSet(str(environment.pk), change_set.edits)
    return validate_change_set(normal, environment)


def checked_digest(
    change_set: ChangeSet, *, apply_at: datetime | None, round: int, relies_on: Mapping[str, int], plan_digest: str
) -> str:
    """The digest an approval will be bound to. Raises InvalidInput for content that has no canonical form."""
    try:
        return change_digest(change_set, apply_at=apply_at, round=round, relies_on=relies_on, plan_digest=plan_digest)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput("The change holds values that cannot be stored as JSON text.", problems=[]) from error


def refuse_moved_ground(change_set: ChangeSet, environment: Environment, *, relies_on: Mapping[str, int]) -> None:
    """Raise StaleChange, naming them, if segments that the change refers to are not at the versions in `relies_on`.

    The same for strict mode where the change holds splits by targeting key.
    """
    present = relied_on(change_set, environment)
    named = {**dict.fromkeys(present), **({STRICT_MODE: None} if STRICT_MODE in relies_on else {})}
    moved = [
        {"key": key, "base_version": relies_on.get(key, 0), "current_version": present.get(key, 0)}
        for key in named
        if relies_on.get(key, 0) != present.get(key, 0)
    ]
    if moved:
        raise StaleChange(
            f"{_moved_words(moved, environment)} Then edit the change and save it again: it relies on how that is now.",
            moved=moved,
        )


def refuse_planned(request: ChangeRequest, instead: str) -> None:
    """Raise PartOfPlan for a request that asks for a rollout plan or a timeline; `instead` says what to do."""
    if not request.plan_digest:
        return
    what = "a rollout plan, which reaches its content stage by stage"
    if request.asks_for_timeline:
        what = "a deprecation timeline, which reaches its content milestone by milestone"
    raise PartOfPlan(f"#{request.number} asks for {what}. {instead}")


def _moved_words(moved: list[dict[str, Any]], environment: Environment) -> str:
    names = ", ".join(
        f"{item['key']} (version {item['base_version']} → {item['current_version']})"
        for item in moved
        if item["key"] != STRICT_MODE
    )
    words = []
    if names:
        words.append(
            f"Segments that this change relies on have changed in {environment.name} since it was prepared: {names}. "
            "Look at who is in them now."
        )
    if moved[-1]["key"] == STRICT_MODE:
        switched = "on" if moved[-1]["current_version"] else "off"
        answer = "with an error" if moved[-1]["current_version"] else "with the default variant"
        words.append(
            f"Strict mode was turned {switched} in {environment.name} since this change was prepared: its splits "
            f"answer requests without a targeting key {answer} now. Make sure that this is meant."
        )
    return " ".join(words)


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except (ValueError, AttributeError, TypeError):
        return None
