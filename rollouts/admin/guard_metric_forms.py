"""The form of a guard metric, in words of people who plan rollouts."""

from collections.abc import Mapping
from typing import Any

from django import forms

from rollouts.models import GuardMetric
from rollouts.plans.definition import GUARD_QUERIES, GuardAction, GuardSource, MetricKind
from rollouts.services.guard_metrics import LONGEST_KEY, RANGES, MetricFields

KINDS = [
    (MetricKind.ERROR_RATE.value, "Errors", "Bad is somebody for whom something failed."),
    (MetricKind.LATENCY.value, "Slow answers", "Bad is somebody who waited longer than the limit below."),
    (MetricKind.CONVERSION.value, "Conversion", "Good is somebody who got through; bad is everybody else."),
    (MetricKind.COUNTER.value, "Something else", "Bad is somebody for whom a service counted a bad event."),
]
SOURCES = [
    (GuardSource.TELEMETRY.value, "Services report it", "With the key above, to Flagsite's telemetry."),
    (GuardSource.PROMETHEUS.value, "Prometheus is asked", "Four queries, every minute."),
]
AT_BREACH = [
    (GuardAction.ROLL_BACK.value, "Roll back"),
    (GuardAction.PAUSE.value, "Pause, and ask a person"),
    (GuardAction.HOLD.value, "Go no further"),
    (GuardAction.WARN.value, "Only say so"),
]
AT_SILENCE = AT_BREACH[1:]
QUERY_WORDS = {
    "n_control": "People with the old variant",
    "x_control": "Of these, the bad ones",
    "n_treatment": "People with the new variant",
    "x_treatment": "Of these, the bad ones",
}


def _number(name: str, label: str, help_text: str = "", **fields: Any) -> forms.FloatField:
    least, most, _ = RANGES[name]
    return forms.FloatField(label=label, help_text=help_text, min_value=least, max_value=most, **fields)


def _whole(name: str, label: str, help_text: str = "", **fields: Any) -> forms.IntegerField:
    least, most, _ = RANGES[name]
    return forms.IntegerField(label=label, help_text=help_text, min_value=int(least), max_value=int(most), **fields)


class GuardMetricForm(forms.Form):
    """What is bad, how much worse is tolerated, how many people it takes, and what follows."""

    key = forms.CharField(max_length=LONGEST_KEY, label="Key", help_text="How services report it. It stays as it is.")
    name = forms.CharField(max_length=120, label="Name", help_text="What people call it: “Errors at checkout”.")
    description = forms.CharField(
        required=False, max_length=4000, label="What it means", widget=forms.Textarea(attrs={"rows": 2})
    )
    kind = forms.ChoiceField(choices=[(value, label) for value, label, _ in KINDS], label="What is bad")
    limit = forms.FloatField(
        required=False,
        min_value=0,
        label="Too slow from (ms)",
        help_text="Answers over it are bad. Services that report people count these themselves.",
    )
    source = forms.ChoiceField(choices=[(value, label) for value, label, _ in SOURCES], label="Where it comes from")
    margin = forms.FloatField(
        min_value=0,
        max_value=1000,
        label="Tolerated: how many percent worse",
        help_text="Up to this the new variant counts as no worse than the old one.",
    )
    tolerable = _number(
        "tolerable",
        "Safe means: not this many times as bad",
        "A stage is passed early once this is ruled out; 2 is usual.",
    )
    minimum_sample = _whole(
        "minimum_sample", "People per variant before it says anything", "Below this the guard only collects."
    )
    on_breach = forms.ChoiceField(choices=AT_BREACH, label="When it is worse than tolerated")
    is_guardrail = forms.BooleanField(required=False, label="It may roll back by itself")
    is_critical = forms.BooleanField(required=False, label="It is critical: without its data nothing is safe")
    on_missing = forms.ChoiceField(choices=AT_BREACH, label="When no data comes")
    missing_after_minutes = _whole("missing_after_minutes", "No data means none for (minutes)")
    on_stale = forms.ChoiceField(choices=AT_SILENCE, label="When data is out of date")
    stale_after_minutes = _whole("stale_after_minutes", "Out of date means older than (minutes)")
    on_probe_error = forms.ChoiceField(choices=AT_SILENCE, label="When Prometheus cannot be asked")
    design_effect = _number(
        "design_effect",
        "Events per person",
        "Where services count requests and not people, so many requests count as one person.",
    )
    weight = _number("weight", "Weight among the guards of a plan", "A heavier one is told sooner, the others later.")

    def __init__(
        self, data: Any = None, *, metric: GuardMetric | None = None, typed: Mapping[str, Any] | None = None
    ) -> None:
        """`typed` is what somebody has typed so far without wanting it saved, or judged."""
        super().__init__(data, initial={**_initial(metric), **_as_typed(typed)})
        if metric is not None:
            del self.fields["key"]
        for name in GUARD_QUERIES:
            self.fields[name] = forms.CharField(
                required=False, max_length=2000, label=QUERY_WORDS[name], widget=forms.Textarea(attrs={"rows": 2})
            )

    @property
    def queries(self) -> list[forms.BoundField]:
        """The fields of the four queries."""
        return [self[name] for name in GUARD_QUERIES]

    def metric_fields(self) -> MetricFields:
        """What was typed, for the service."""
        data = {name: value for name, value in self.cleaned_data.items() if name not in {"key", *GUARD_QUERIES}}
        kind = MetricKind(data["kind"])
        changed: dict[str, Any] = {
            "kind": kind,
            "source": GuardSource(data["source"]),
            "is_success_metric": kind is MetricKind.CONVERSION,
            "margin": data["margin"] / 100,
            "queries": {name: self.cleaned_data[name] for name in GUARD_QUERIES},
            **{name: GuardAction(data[name]) for name in _ACTIONS},
        }
        return MetricFields(**{**data, **changed})


class NeedForm(forms.Form):
    """How much comes in, for the question what it takes to see a regression."""

    people_per_hour = forms.FloatField(min_value=0, max_value=1e9, initial=1000, label="People an hour")
    bad_percent = forms.FloatField(min_value=0, max_value=100, initial=1, label="Bad among them (percent)")


def _as_typed(typed: Mapping[str, Any] | None) -> dict[str, Any]:
    """A box without a tick is not sent at all."""
    if typed is None:
        return {}
    return {**dict(typed.items()), **{name: name in typed for name in ("is_guardrail", "is_critical")}}


_ACTIONS = ("on_breach", "on_missing", "on_stale", "on_probe_error")


def _initial(metric: GuardMetric | None) -> Mapping[str, Any]:
    """What a form starts with: the metric, or what is usual."""
    facts = MetricFields(name="", kind=MetricKind.ERROR_RATE)
    names = [*RANGES, *_ACTIONS, "is_guardrail", "is_critical"]
    usual = {name: getattr(facts, name) for name in names} | {"kind": facts.kind.value, "source": facts.source.value}
    if metric is not None:
        columns = {name: getattr(metric, name) for name in ("name", "description", "kind", "source", "limit")}
        usual |= {name: metric.defaults[name] for name in names if name in metric.defaults} | columns
        usual |= dict(metric.defaults.get("queries", {}))
    numbers = {name: f"{usual[name]:g}" for name in RANGES}
    return {**usual, **numbers, "margin": f"{100 * float(usual['margin']):g}"}
