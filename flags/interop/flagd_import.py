"""A flagd definition as config documents, each with a grade that says how faithfully it could be read. Pure.

Nothing raises: what cannot be read is graded “unsupported” with the reason, flag by flag.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import NoneType
from typing import Any

from flags.documents.normalise import normalise_config
from flags.documents.schema import SCHEMA_VERSION, Document, Problem, is_integer, is_number
from flags.documents.validate import validate_config
from flags.evaluation.bucketing import Generation

from .flagd_conditions import ConditionReader, shown
from .flagd_effort import Allowance, Unsupported
from .flagd_parents import ParentFinder
from .flagd_reading import Evaluators, depth_problems, read_flags, read_json
from .flagd_rules import TargetingReader

FLAG_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FIELDS = frozenset({"state", "variants", "defaultVariant", "targeting", "metadata", "source", "selector", "$schema"})
# What our own export says about a flag.
_OWN_METADATA = frozenset({"version", "forced"})
_ENDING_METADATA = frozenset({"deprecated", "deprecatedAt", "sunsetAt", "successor", "link"})


class Grade(StrEnum):
    """How faithfully a flag could be read."""

    EXACT = "exact"
    ADAPTED = "adapted"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class ImportedFlag:
    """One flag of a definition: its document in normal form, or None where it is unsupported, and why or what changed.

    `notes` name what was adapted; of an unsupported flag they say what is in the way.
    """

    key: str
    grade: Grade
    value_type: str
    document: Document | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What a definition holds. With `problems` it could not be read at all."""

    flags: tuple[ImportedFlag, ...]
    problems: tuple[Problem, ...] = ()
    flag_set: str = ""

    @property
    def usable(self) -> tuple[ImportedFlag, ...]:
        """The flags that can be taken over."""
        return tuple(flag for flag in self.flags if flag.document is not None)


def read_definition(
    definition: bytes | str | Mapping[str, Any],
    *,
    generation: Generation = Generation.FLAGD_V2,
    value_types: Mapping[str, str] | None = None,
) -> ImportReport:
    """Read a definition, as text or as the value of one. Never raises.

    `generation` is that of the environment it is for. `value_types` are those of flags that exist already: a
    definition does not tell whole numbers that are floats from integers.
    """
    value: Any = definition
    if isinstance(definition, bytes | str):
        value, problems = read_json(definition)
    else:
        problems = depth_problems(definition)
    if problems:
        return ImportReport((), tuple(problems))
    flags, problems = read_flags(value)
    if problems:
        return ImportReport((), tuple(problems))
    reader = _DefinitionReader(value, flags, generation, value_types or {})
    metadata = value.get("metadata")
    name = metadata.get("flagSetId") if isinstance(metadata, Mapping) else ""
    return ImportReport(
        _with_parents([reader.read(key) for key in flags]), flag_set=name if isinstance(name, str) else ""
    )


def _with_parents(flags: list[ImportedFlag]) -> tuple[ImportedFlag, ...]:
    """The flags, without those that require one which could not be read: they would never be met."""
    while True:
        missing = {flag.key for flag in flags if flag.document is None}
        kept = [_without_orphan(flag, missing) for flag in flags]
        if kept == flags:
            return tuple(flags)
        flags = kept


def _without_orphan(flag: ImportedFlag, missing: set[str]) -> ImportedFlag:
    required = [] if flag.document is None else flag.document.get("prerequisites", [])
    lost = next((item["flag"] for item in required if item["flag"] in missing), None)
    if lost is None:
        return flag
    return replace(
        flag, grade=Grade.UNSUPPORTED, document=None, notes=(f"It requires “{lost}”, which cannot be read.",)
    )


class _DefinitionReader:
    """Reads the flags of one definition, which may refer to each other."""

    def __init__(
        self, value: Any, flags: dict[str, Any], generation: Generation, value_types: Mapping[str, str]
    ) -> None:
        self._flags = flags
        self._evaluators = Evaluators(value.get("$evaluators", {}))
        self._allowance = Allowance()
        self._generation = generation
        self._value_types = value_types
        self._parents = ParentFinder.of(flags)

    def read(self, key: str) -> ImportedFlag:
        """Read one flag. Never raises."""
        value_type = ""
        try:
            raw = _checked(key, self._flags[key])
            notes = _ignored(raw)
            value_type, variants = _read_variants(raw["variants"], self._value_types.get(key))
            document = self._document(key, raw, variants, notes)
            document = normalise_config(document, value_type=value_type, flag_key=key)
            problems = validate_config(document, value_type=value_type, segment_keys=())
        except Unsupported as error:
            return ImportedFlag(shown(key), Grade.UNSUPPORTED, value_type, None, (str(error),))
        except RecursionError:
            reason = "Its rules are nested too deep. Flatten them."
            return ImportedFlag(shown(key), Grade.UNSUPPORTED, value_type, None, (reason,))
        if problems:
            found = tuple(f"{problem.path}: {problem.message}" for problem in problems[:5])
            return ImportedFlag(key, Grade.UNSUPPORTED, value_type, None, found)
        grade = Grade.ADAPTED if notes else Grade.EXACT
        return ImportedFlag(key, grade, value_type, document, tuple(notes))

    def _document(self, key: str, raw: dict[str, Any], variants: list[dict[str, Any]], notes: list[str]) -> Document:
        allowance = self._allowance.of_flag()
        reader = TargetingReader(key, _default(raw), self._generation, self._parents, ConditionReader(allowance))
        targeting, used = self._evaluators.write_out(raw.get("targeting"), allowance)
        notes += [f"The shared evaluator “{shown(name)}” was written out in this flag." for name in used]
        if targeting:
            reader.read(targeting)
        notes += reader.conditions.notes
        salts = [rule["salt"] for rule in reader.rules if "salt" in rule]
        salt = salts[0] if salts else f"{key}/"
        rules = [{name: part for name, part in rule.items() if (name, part) != ("salt", salt)} for rule in reader.rules]
        return {
            "schema": SCHEMA_VERSION,
            "enabled": raw["state"] == "ENABLED",
            # flagd gives the code default of a disabled flag.
            "off_variant": reader.off_variant if raw["state"] == "ENABLED" else None,
            "variants": variants,
            "default_variant": reader.default,
            "salt": salt,
            "rules": rules,
            "targets": reader.targets,
            "prerequisites": reader.prerequisites,
        }


def _checked(key: str, raw: Any) -> dict[str, Any]:
    """The flag, once its outer form is right. Raises Unsupported."""
    if not FLAG_KEY.fullmatch(key):
        raise Unsupported(
            "Its key cannot be used here: keys start with a letter or digit and go on with letters, digits, dots, "
            "dashes or underscores, 100 characters at most."
        )
    if not isinstance(raw, dict):
        raise Unsupported("A flag is an object with state and variants.")
    if raw.get("state") not in ("ENABLED", "DISABLED"):
        raise Unsupported("Its state must be ENABLED or DISABLED.")
    if not isinstance(raw.get("variants"), dict) or not raw["variants"]:
        raise Unsupported("It needs variants: an object with at least one.")
    if not isinstance(raw.get("targeting", {}), dict | NoneType):
        raise Unsupported("Its targeting must be a JSONLogic object.")
    return raw


def _ignored(raw: dict[str, Any]) -> list[str]:
    """Notes on what a config document has no place for."""
    notes = []
    unknown = [name for name in raw if name not in _FIELDS]
    if unknown:
        notes.append(f"Not taken over: {', '.join(map(shown, unknown[:5]))}.")
    metadata = raw.get("metadata")
    if isinstance(metadata, dict) and metadata.get("deprecated") is True:
        notes.append("It is deprecated there. That was not taken over: announce its end here, if it ends here too.")
    if isinstance(metadata, dict) and set(metadata) - _OWN_METADATA - _ENDING_METADATA:
        notes.append("Its metadata was not taken over; describe the flag on its page.")
    return notes


def _default(raw: dict[str, Any]) -> str | None:
    default = raw.get("defaultVariant")
    if isinstance(default, bool):
        default = str(default).lower()
    if default is None or default == "":
        return None
    if not isinstance(default, str) or default not in raw["variants"]:
        raise Unsupported(f"Its default variant “{shown(default)}” is none of its variants.")
    return default


def _read_variants(variants: dict[str, Any], known: str | None) -> tuple[str, list[dict[str, Any]]]:
    """The value type that all values share, and the variants. Raises Unsupported."""
    values = list(variants.values())
    fits = {
        "boolean": all(isinstance(value, bool) for value in values),
        "string": all(isinstance(value, str) for value in values),
        "integer": all(is_integer(value) for value in values),
        "float": all(is_number(value) for value in values),
        "object": all(isinstance(value, dict) for value in values),
    }
    found = next((value_type for value_type, is_fit in fits.items() if is_fit), None)
    if found is None:
        raise Unsupported("Its variants must all be booleans, all texts, all numbers or all JSON objects.")
    if known is not None and not fits[known]:
        raise Unsupported(f"Its values are of the type {found}; the flag that exists with this key is of type {known}.")
    return known or found, [{"name": name, "value": value, "description": ""} for name, value in variants.items()]
