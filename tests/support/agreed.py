"""What two administrators agreed on, for tests of what comes after."""

from typing import Any

from flags.models import Environment
from flags.settings_authority import JointAct, SettingChange


def agreed(environment: Environment, kind: str, before: Any, after: Any, *, by: Any, confirmed_by: Any) -> JointAct:
    """The authority for one change of a setting that `by` proposed and `confirmed_by` confirmed."""
    change = SettingChange(
        kind=kind,
        project_id=str(environment.project_id),
        environment_id=str(environment.pk),
        before=before,
        after=after,
    )
    return JointAct("a proposal", change.digest, str(by.pk), str(confirmed_by.pk))


def unprotected(environment: Environment, *, by: Any, confirmed_by: Any) -> JointAct:
    """That they take the protection off."""
    return agreed(
        environment, "protection", {"is_protected": True}, {"is_protected": False}, by=by, confirmed_by=confirmed_by
    )


def strict(environment: Environment, *, is_required: bool, by: Any, confirmed_by: Any) -> JointAct:
    """That they turn strict mode on or off."""
    return agreed(
        environment,
        "strict_mode",
        {"requires_targeting_key": not is_required},
        {"requires_targeting_key": is_required},
        by=by,
        confirmed_by=confirmed_by,
    )
