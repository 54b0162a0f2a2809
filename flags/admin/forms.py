"""Forms of the pages about flags: they turn text into values; the rules are the services'."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from django import forms
from django.contrib.auth import get_user_model
from django.forms.formsets import BaseFormSet

from flags.admin.governed import add_problems
from flags.admin.posted import parse_document
from flags.documents import initial_document, validate_config, validate_value_schema
from flags.errors import InvalidInput
from flags.models import Flag, Project, Team
from flags.models.flags import FlagKind, ValueType
from flags.services.flags import check_fields

KEY_WIDGET = forms.TextInput(
    attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none", "data-fs-key-of": "id_name"}
)
REASON_HELP = "One sentence for the audit trail: it is kept for good and shown beside this change."


class PersonChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """People by their full names."""

    def label_from_instance(self, obj: Any) -> str:
        """Full name, else user name."""
        return str(obj.get_full_name() or obj.get_username())


class JsonField(forms.CharField):
    """JSON as typed. Unlike Django's own field it never raises for what it reads, and shows the text as it was."""

    def clean(self, value: Any) -> Any:
        """The JSON value; None for an empty field."""
        text = super().clean(value)
        try:
            return _storable(parse_document(text)) if text else None
        except UnicodeError:
            raise forms.ValidationError("Remove the broken character: it cannot be sent as UTF-8.") from None
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f"This is not valid JSON: {error}.") from None


class PlainForm(forms.Form):
    """A form whose own complaints say what to do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for form_field in self.fields.values():
            chooses = isinstance(form_field, forms.ChoiceField | forms.ModelChoiceField)
            form_field.error_messages["required"] = "Choose one." if chooses else "Fill this in."


class ReasonForm(PlainForm):
    """A reason, which everything that cannot be undone quietly asks for."""

    reason = forms.CharField(
        label="Why?", max_length=4000, help_text=REASON_HELP, widget=forms.Textarea(attrs={"rows": 2})
    )


class FlagDetailsForm(PlainForm):
    """What may change about a flag at any time."""

    name = forms.CharField(max_length=120, help_text="What people call it: “Checkout redesign”.")
    description = forms.CharField(
        max_length=4000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What a customer notices when it is on, and when it can go away.",
    )
    kind = forms.ChoiceField(choices=FlagKind.choices, widget=forms.RadioSelect)
    owner = PersonChoice(
        queryset=get_user_model().objects.none(),
        required=False,
        empty_label="Nobody yet",
        help_text="Who answers questions about it.",
    )
    tags = forms.CharField(max_length=500, required=False, help_text="Separated by commas: checkout, q1.")
    links = forms.CharField(
        max_length=4000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="One address per line, starting with https:// or http://: the ticket, the brief, the dashboard.",
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = get_user_model().objects.filter(is_active=True).order_by("first_name", "last_name", "username")
        owner = self.fields["owner"]
        assert isinstance(owner, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        owner.queryset = people

    def clean(self) -> dict[str, Any]:
        """Say all at once what is wrong with the texts, as the services would one call later."""
        texts = {name: read(self.cleaned_data[name]) for name, read in _TEXTS.items() if name in self.cleaned_data}
        try:
            check_fields(texts)
        except InvalidInput as error:
            add_problems(self, error)
        return self.cleaned_data

    @staticmethod
    def initial_of(flag: Flag) -> dict[str, Any]:
        """The form as the flag is now."""
        return {
            "name": flag.name,
            "description": flag.description,
            "kind": flag.kind,
            "owner": flag.owner_id,
            "tags": ", ".join(flag.tags),
            "links": "\n".join(flag.links),
        }

    def values(self) -> dict[str, Any]:
        """The fields as the services take them."""
        data = self.cleaned_data
        return {
            "name": data["name"],
            "description": data["description"],
            "kind": data["kind"],
            "owner_id": data["owner"].pk if data["owner"] else None,
            "tags": _split(data["tags"]),
            "links": _lines(data["links"]),
        }


class RuleDetailsForm(ReasonForm):
    """What rules and freezes look at about a flag; administrators change it, two of them where something could pass."""

    kind = forms.ChoiceField(choices=FlagKind.choices)
    tags = forms.CharField(max_length=500, required=False, help_text="Separated by commas: checkout, q1.")
    owner_team = forms.ModelChoiceField(
        queryset=Team.objects.none(),
        required=False,
        empty_label="No team",
        label="Owner team",
        help_text="Whose business it is. Policies may ask for an approval from this team.",
    )
    field_order = ("owner_team", "kind", "tags", "reason")

    def __init__(self, *args: Any, flag: Flag, **kwargs: Any) -> None:
        now = {"kind": flag.kind, "tags": ", ".join(flag.tags), "owner_team": flag.owner_team_id}
        super().__init__(*args, initial=now, **kwargs)
        team = self.fields["owner_team"]
        assert isinstance(team, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        team.queryset = Team.objects.filter(project=flag.project)

    def values(self) -> dict[str, Any]:
        """The details as proposals hold them."""
        data = self.cleaned_data
        team = str(data["owner_team"].pk) if data["owner_team"] else None
        return {"kind": data["kind"], "tags": _split(data["tags"]), "owner_team": team}


class NewFlagForm(FlagDetailsForm):
    """A flag that does not exist yet."""

    key = forms.CharField(
        max_length=100,
        help_text="What code asks for, such as checkout-redesign. It never changes and is never used for another flag.",
        widget=KEY_WIDGET,
    )
    value_type = forms.ChoiceField(
        label="Kind of value",
        choices=[
            (ValueType.BOOLEAN, "On or off (boolean)"),
            (ValueType.STRING, "Text (string)"),
            (ValueType.INTEGER, "Whole number (integer)"),
            (ValueType.FLOAT, "Number with decimals (float)"),
            (ValueType.OBJECT, "Structured value (JSON object)"),
        ],
        initial=ValueType.BOOLEAN,
        widget=forms.Select(attrs={"data-fs-shows": "type"}),
        help_text="What the code receives. It never changes.",
    )
    value_schema = JsonField(
        label="JSON Schema",
        required=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false", "class": "fs-input fs-mono"}),
        help_text="If given, every value must fit it.",
    )
    field_order = ("name", "key", "description", "kind", "value_type")

    def clean(self) -> dict[str, Any]:
        """The same for the schema."""
        data = super().clean()
        if data.get("value_type") == ValueType.OBJECT and data.get("value_schema") is not None:
            for found in validate_value_schema(data["value_schema"]):
                self.add_error("value_schema", found.message)
        return data

    def values(self) -> dict[str, Any]:
        """The fields as the services take them."""
        data = self.cleaned_data
        is_object = data["value_type"] == ValueType.OBJECT
        return {
            **super().values(),
            "key": data["key"],
            "value_type": data["value_type"],
            "value_schema": data["value_schema"] if is_object else None,
        }


class VariantForm(forms.Form):
    """One variant: a name that people see, a value that code receives."""

    name = forms.CharField(max_length=100, required=False, widget=forms.TextInput(attrs={"placeholder": "default"}))
    value = forms.CharField(
        max_length=20_000, required=False, strip=False, widget=forms.TextInput(attrs={"placeholder": "Value"})
    )

    @property
    def is_blank(self) -> bool:
        """Whether nothing was typed into the row."""
        return not (self.cleaned_data.get("name") or self.cleaned_data.get("value"))


class BaseVariants(BaseFormSet):  # type: ignore[type-arg]
    """The variants of a new flag. `value_type` says how values are read."""

    value_type: str = ValueType.BOOLEAN
    value_schema: Any = None

    def clean(self) -> None:
        """Read every value; say at the row what cannot be read or used."""
        if self.value_type == ValueType.BOOLEAN:
            return
        rows = [form for form in self.forms if hasattr(form, "cleaned_data") and not form.is_blank]
        if not rows:
            raise forms.ValidationError("Give at least one variant: a name and its value.")
        for form in rows:
            try:
                form.cleaned_data["read"] = read_value(form.cleaned_data.get("value", ""), self.value_type)
            except forms.ValidationError as error:
                form.add_error("value", error)
        self._say_what_cannot_be_used(rows)

    def _say_what_cannot_be_used(self, rows: list[Any]) -> None:
        """Names are judged together, values each for itself: one that cannot be stored would hide the others."""
        if self.value_type not in ValueType.values:
            return
        names = [str(row.cleaned_data.get("name", "")).strip() for row in rows]
        self._mark(rows, [{"name": name, "value": None} for name in names], "name")
        for row in rows:
            if "read" in row.cleaned_data:
                self._mark([row], [{"name": "alone", "value": row.cleaned_data["read"]}], "value")

    def _mark(self, rows: list[Any], variants: list[dict[str, Any]], field: str) -> None:
        document = initial_document("new", self.value_type, variants)
        problems = validate_config(
            document, value_type=self.value_type, value_schema=self.value_schema, segment_keys=frozenset()
        )
        for problem in problems:
            place = re.match(rf"variants\[(\d+)\]\.{field}", problem.path)
            if place and field not in rows[int(place[1])].errors:
                rows[int(place[1])].add_error(field, problem.message)

    def variants(self) -> list[dict[str, Any]] | None:
        """The variants as documents hold them; None stands for on and off."""
        if self.value_type == ValueType.BOOLEAN:
            return None
        rows = [form.cleaned_data for form in self.forms if not form.is_blank]
        return [{"name": row["name"].strip(), "value": row["read"]} for row in rows]


_VariantFormSet = forms.formset_factory(
    VariantForm, formset=BaseVariants, extra=0, min_num=2, max_num=50, absolute_max=60, validate_max=True
)


def variant_forms(posted: Mapping[str, Any] | None) -> BaseVariants:
    """The rows of variants, empty or as they were sent."""
    rows = cast(BaseVariants, _VariantFormSet(posted, prefix="variants"))
    rows.value_type = str((posted or {}).get("value_type", ValueType.BOOLEAN))
    return rows


def read_value(text: str, value_type: str) -> Any:
    """A typed value from text. Raises ValidationError with a sentence."""
    try:
        if value_type == ValueType.INTEGER:
            return int(text)
        if value_type == ValueType.FLOAT:
            return _storable(float(text))
        if value_type == ValueType.OBJECT:
            value = _storable(json.loads(text))
            if not isinstance(value, dict):
                raise ValueError
            return value
    except (ValueError, RecursionError):
        raise forms.ValidationError(_READ_AS[ValueType(value_type)]) from None
    return text


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


_TEXTS: dict[str, Callable[[str], Any]] = {"key": str, "name": str, "description": str, "tags": _split, "links": _lines}


def _storable(value: Any) -> Any:
    """The value, or ValueError for what JSON and databases cannot carry: NaN, infinities, lone surrogates."""
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    return value


_READ_AS = {
    ValueType.INTEGER: "Write a whole number, such as 30.",
    ValueType.FLOAT: "Write a number, such as 2.5.",
    ValueType.OBJECT: 'Write a JSON object, such as {"limit": 5}.',
}
