"""The buttons of a release train's page, and what each asks before it does anything."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from rollouts.models import ReleaseTrain
from rollouts.plans.trains import TrainAct, back_order
from rollouts.selectors.trains import TrainView
from rollouts.services import trains

ACTS: Mapping[str, Callable[..., ReleaseTrain]] = {
    TrainAct.START: trains.start_train,
    TrainAct.PAUSE: trains.pause_train,
    TrainAct.RESUME: trains.resume_train,
    TrainAct.ROLL_BACK: trains.roll_back_train,
    TrainAct.ABORT: trains.abort_train,
}
SAID = {
    TrainAct.START: "has started. Its first plan sets out.",
    TrainAct.PAUSE: "is paused. Everybody keeps what they get.",
    TrainAct.RESUME: "goes on.",
    TrainAct.ROLL_BACK: "goes back: every plan of it, the last one first.",
    TrainAct.ABORT: "is ended. What is served stays, and its plans go their own ways.",
}


@dataclass(frozen=True, slots=True)
class TrainDialog:
    """One act that the person may do now: its button, and what it means."""

    act: str
    button: str
    symbol: str
    text: str
    go: str
    tone: str = "primary"
    needs_reason: bool = False


_DIALOGS = (
    TrainDialog(
        TrainAct.START,
        "Start…",
        "rocket_launch",
        "The plans set out one after another, in this order and as this page shows them. Where somebody changed one "
        "since you opened the page, nothing starts.",
        "Start the train",
    ),
    TrainDialog(TrainAct.RESUME, "Resume…", "play_arrow", "The plans go on from where they are.", "Resume the train"),
    TrainDialog(
        TrainAct.PAUSE,
        "Pause…",
        "pause",
        "No plan goes to its next stage until somebody resumes the train. Everybody keeps what they get.",
        "Pause the train",
    ),
    TrainDialog(
        TrainAct.ROLL_BACK,
        "Roll everything back…",
        "restore",
        "Every plan that has begun goes to how it was before, completed ones too, in this order. Freezes do not hold "
        "it. The train stays so until somebody ends it.",
        "Roll everything back",
        tone="danger",
        needs_reason=True,
    ),
    TrainDialog(
        TrainAct.ABORT,
        "End the train…",
        "cancel",
        "It ends for good. What is served stays as it is, and the plans go their own ways.",
        "End the train",
        tone="danger",
        needs_reason=True,
    ),
)


def dialogs_of(view: TrainView, allowed: Collection[TrainAct]) -> list[tuple[TrainDialog, Sequence[str]]]:
    """The dialogs of the acts that this person may do now, each with the plans that it moves in their order."""
    return [(dialog, _plans(view, TrainAct(dialog.act))) for dialog in _DIALOGS if dialog.act in allowed]


def _plans(view: TrainView, act: TrainAct) -> Sequence[str]:
    if act is TrainAct.START:
        return [place.label for place in view.places]
    if act is TrainAct.ROLL_BACK:
        return [f"{place.label}, now at stage {place.stage}" for place in back_order(view.places)]
    return ()
