"""The parts of a config document that people compare and copy from one environment to another. Pure."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from audits.integrity import canonical_json

from .documents import normalise_config

Document = Mapping[str, Any]


class Aspect(StrEnum):
    """One part of what a flag serves. Together they are the whole document."""

    ON = "on"
    DEFAULT = "default"
    VARIANTS = "variants"
    RULES = "rules"
    TARGETS = "targets"
    PREREQUISITES = "prerequisites"
    VISIBILITY = "visibility"
    SALT = "salt"
    DEPRECATION = "deprecation"

    @property
    def is_usual(self) -> bool:
        """Whether it is copied elsewhere unless somebody leaves it out. An end is announced place by place."""
        return self is not Aspect.DEPRECATION

    @property
    def label(self) -> str:
        """The part in words, as a heading."""
        return _LABELS[self]

    @property
    def phrase(self) -> str:
        """The part inside a sentence."""
        return _PHRASES[self]


_LABELS = {
    Aspect.ON: "Switched on",
    Aspect.DEFAULT: "Default and OFF variant",
    Aspect.VARIANTS: "Variants and values",
    Aspect.RULES: "Rules",
    Aspect.TARGETS: "Individual targets",
    Aspect.PREREQUISITES: "Prerequisites",
    Aspect.VISIBILITY: "Visible to clients",
    Aspect.SALT: "Salt",
    Aspect.DEPRECATION: "How it ends",
}
_PHRASES = {
    Aspect.ON: "the switch",
    Aspect.DEFAULT: "what everyone else gets",
    Aspect.VARIANTS: "the variants",
    Aspect.RULES: "the rules",
    Aspect.TARGETS: "individual targets",
    Aspect.PREREQUISITES: "prerequisites",
    Aspect.VISIBILITY: "whether clients see it",
    Aspect.SALT: "the salt",
    Aspect.DEPRECATION: "how it ends",
}
# The fields of the document that make up each aspect.
_FIELDS: Mapping[Aspect, tuple[str, ...]] = {
    Aspect.ON: ("enabled",),
    Aspect.DEFAULT: ("default_variant", "off_variant"),
    Aspect.VARIANTS: ("variants", "schema"),
    Aspect.RULES: ("rules",),
    Aspect.TARGETS: ("targets",),
    Aspect.PREREQUISITES: ("prerequisites",),
    Aspect.VISIBILITY: ("client_visible",),
    Aspect.SALT: ("salt",),
    Aspect.DEPRECATION: ("deprecation",),
}
_OF_FIELD = {field: aspect for aspect, fields in _FIELDS.items() for field in fields}
# What says nothing may be left out of a document.
_ABSENT: Mapping[str, Any] = {"targets": [], "prerequisites": [], "client_visible": False}


def differing(one: Document, other: Document) -> tuple[Aspect, ...]:
    """The aspects that are not the same in two valid documents, in the order of the list.

    What nobody is served differently for is no difference: ids and descriptions, and the order of targets and variants.
    """
    return tuple(aspect for aspect in Aspect if not _is_same(one, other, aspect))


def aspect_of(path: str) -> Aspect | None:
    """The aspect that a path inside a document belongs to, None for the document as a whole."""
    return _OF_FIELD.get(path.partition(".")[0].partition("[")[0])


def copied(source: Document, target: Document | None, aspects: Collection[Aspect]) -> dict[str, Any]:
    """`target` with the chosen aspects of `source`; both are valid, the result need not be.

    Where there is no target, the rest is what says least: the variants, default and salt of the source, switched off.
    """
    taken = set(aspects)
    if target is None:
        taken |= {Aspect.VARIANTS, Aspect.DEFAULT, Aspect.SALT}
        target = {"enabled": False, "rules": []}
    document = dict(target)
    for aspect in taken:
        for field in _FIELDS[aspect]:
            if field in source:
                document[field] = source[field]
            else:
                document.pop(field, None)
    return normalise_config(document)


def _is_same(one: Document, other: Document, aspect: Aspect) -> bool:
    # What reads alike is alike, types included. That is quick, and enough for nearly everything.
    if all(repr(one.get(field)) == repr(other.get(field)) for field in _FIELDS[aspect]):
        return True
    return _meaning(one, aspect) == _meaning(other, aspect)


def _meaning(document: Document, aspect: Aspect) -> bytes:
    fields = {field: document.get(field, _ABSENT.get(field)) for field in _FIELDS[aspect]}
    match aspect:
        case Aspect.TARGETS:
            fields = {"targets": {entry["variant"]: sorted(entry["keys"]) for entry in fields["targets"]}}
        case Aspect.RULES:
            fields = {"rules": [{**rule, "id": "", "description": ""} for rule in fields["rules"]]}
        case Aspect.VARIANTS:
            fields["variants"] = {variant["name"]: variant["value"] for variant in fields["variants"]}
        case Aspect.PREREQUISITES:
            fields = {"prerequisites": {item["flag"]: sorted(item["variants"]) for item in fields["prerequisites"]}}
    return canonical_json(fields)
