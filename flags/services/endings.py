"""What a write may do to the end of a flag: archive it, bring it back, or tell services something else of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from flags.authority import ApprovedChange, Authority, Milestone, Narrowing, NotNarrowing, Retirement, Reversal
from flags.changes import ChangeSet, ConfigEdit
from flags.documents import Problem
from flags.documents.deprecation import announces, is_archived
from flags.errors import InvalidDocument
from flags.models import Environment, FlagConfig

_IS_ARCHIVED = "deprecation.is_archived"
_MAY_ARCHIVE = (ApprovedChange, Milestone, Retirement)
_NEVER_APPROVED = (Narrowing, Reversal)


def revival_problems(config: FlagConfig | None, document: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with a document that brings an archived flag back: it comes back switched off."""
    if config is None or not is_archived(config.document) or is_archived(document) or not document["enabled"]:
        return []
    message = "It is archived here, and nobody gets it back by surprise. Revive it first, then switch it on."
    return [Problem("enabled", message)]


def refuse_ending(
    change_set: ChangeSet, configs: Mapping[str, FlagConfig], environment: Environment, authority: Authority
) -> None:
    """Raise InvalidDocument where this authority archives nothing, NotNarrowing where others approve what services are
    told. `configs` are the rows the change set edits, by key.
    """
    if not isinstance(authority, _MAY_ARCHIVE):
        _refuse_archiving(change_set, configs, environment)
    if environment.is_protected and isinstance(authority, _NEVER_APPROVED):
        _refuse_announcing(change_set, configs)


def _refuse_archiving(change_set: ChangeSet, configs: Mapping[str, FlagConfig], environment: Environment) -> None:
    message = (
        f"A flag is not archived by editing it in {environment.name}. Archive it on its own page, which shows who "
        "still needs it, plan its ending, or propose the change for approval."
    )
    found = [
        {"key": edit.flag_key, "path": _IS_ARCHIVED, "message": message}
        for edit, before in _edits(change_set, configs)
        if is_archived(edit.document) and not is_archived(before)
    ]
    if found:
        raise InvalidDocument(f"{found[0]['key']}: {message}", problems=found)


def _refuse_announcing(change_set: ChangeSet, configs: Mapping[str, FlagConfig]) -> None:
    found = [edit.flag_key for edit, before in _edits(change_set, configs) if announces(before, edit.document)]
    if found:
        why = "It changes what services are told about the end of the flag."
        raise NotNarrowing(
            f"This cannot be applied at once: “{found[0]}” would tell services something else about its end, which "
            "others approve here. Submit it for review instead.",
            flags=[{"key": key, "why": why} for key in found],
        )


def _edits(
    change_set: ChangeSet, configs: Mapping[str, FlagConfig]
) -> Iterator[tuple[ConfigEdit, Mapping[str, Any] | None]]:
    for edit in change_set.edits:
        if isinstance(edit, ConfigEdit):
            config = configs.get(edit.flag_key)
            yield edit, config.document if config else None
