"""What an environment serves as a flagd definition, in the part of flagd that every evaluator reads alike. Pure.

What cannot be said so is named in `omissions`, and its flag is left out rather than served differently. A switched
off flag with an off variant is written as an enabled one that serves it: callers get the same answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flags.documents.schema import MAX_CONDITIONS, variant_names
from flags.documents.schema import MAX_DEPTH as MAX_LEVELS
from flags.evaluation import FlagSource, Snapshot
from flags.evaluation.compile import without_archived
from flags.evaluation.deprecations import deprecation_of, told_of
from flags.evaluation.instants import instant_text

from .flagd_endings import is_for_good, withdrawal_of
from .flagd_reading import MAX_DEPTH
from .flagd_targeting import MALFORMED, TargetingWriter, is_split_by_key, reached_rules
from .logic import Inexpressible

MAX_DEFINITION_BYTES = 16 * 1024 * 1024
# A definition holds flags by key, and these are counted from the definition on.
_LEVELS_ABOVE_A_FLAG = 2


@dataclass(frozen=True, slots=True)
class Omission:
    """Something a definition does not say: of which flag, what it is, and why. `is_left_out`: the flag is not in it."""

    flag_key: str
    what: str
    why: str
    is_left_out: bool = True

    def as_json(self) -> dict[str, Any]:
        """As the report shows it."""
        return {"flag": self.flag_key, "what": self.what, "why": self.why, "leftOut": self.is_left_out}


@dataclass(frozen=True, slots=True)
class Definition:
    """A flagd definition, and what it does not say."""

    document: dict[str, Any]
    omissions: tuple[Omission, ...]


def export_definition(snapshot: Snapshot, *, forced: Mapping[str, str] | None = None) -> Definition:
    """Return the definition of a snapshot. `forced` holds the variants of the kill list by flag key.

    `flagSetId` is the key of the environment. The metadata of the set says which bucketing generation was meant, since
    a definition cannot ask for one, and how many flags are left out. Archived flags do not exist for services, so they
    are not in it and are no omission.
    """
    snapshot = without_archived(snapshot)
    writer = TargetingWriter(snapshot, _known(forced or {}, snapshot))
    flags: dict[str, Any] = {}
    omissions: list[Omission] = []
    sizes: dict[str, int] = {}
    weaker: dict[str, list[Omission]] = {}
    for key, source in snapshot.flags.items():
        try:
            flag = _flag(key, source, writer)
            weaker[key] = _weaker(key, source.document, writer)
            sizes[key] = _size(flag, writer)
            flags[key] = flag
        except Inexpressible as error:
            omissions.append(Omission(key, error.what, error.why))
        except MALFORMED:
            why = "It cannot be read. Save it again in the environment it belongs to."
            omissions.append(Omission(key, "its configuration", why))
    for omission in _oversize(sizes):
        del flags[omission.flag_key]
        omissions.append(omission)
    omissions += [omission for key in flags for omission in weaker[key]]
    metadata = {
        "flagSetId": snapshot.environment_key,
        "project": snapshot.project_key,
        "environment": snapshot.environment_key,
        "revision": snapshot.revision,
        "version": snapshot.revision,
        "bucketing": snapshot.generation.value,
        "flagsLeftOut": sum(omission.is_left_out for omission in omissions),
    }
    return Definition({"flags": flags, "metadata": metadata}, tuple(omissions))


def _known(forced: Mapping[str, str], snapshot: Snapshot) -> dict[str, str]:
    """The forced variants that exist; a kill list may name others, and they change nothing."""
    return {
        key: variant
        for key, variant in forced.items()
        if key in snapshot.flags and variant in variant_names(snapshot.flags[key].document)
    }


def _flag(key: str, source: FlagSource, writer: TargetingWriter) -> dict[str, Any]:
    document = source.document
    variants = _variants(source)
    metadata: dict[str, Any] = {"version": source.version, **_told(document)}
    if key in writer.forced:
        return _written(variants, writer.forced[key], None, {**metadata, "forced": True})
    if document["enabled"] is not True:
        return _switched_off(document, variants, writer, metadata)
    withdrawal = withdrawal_of(document)
    if withdrawal is not None and is_for_good(withdrawal):
        return _written(variants, withdrawal.serves, None, metadata)
    return _by_rules(document, variants, writer, metadata)


def _told(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a flag says of its end. A definition cannot say it from an instant on, so it says since when as well."""
    deprecation = deprecation_of(document)
    if deprecation is None:
        return {}
    link = {"link": deprecation.link} if deprecation.link else {}
    return {**told_of(deprecation), "deprecatedAt": instant_text(deprecation.deprecated_at), **link}


def _size(flag: dict[str, Any], writer: TargetingWriter) -> int:
    """The bytes of a flag. Raises Inexpressible for one that readers would stumble over."""
    size = writer.scale.measure(flag)
    if size.levels > MAX_DEPTH - _LEVELS_ABOVE_A_FLAG:
        raise Inexpressible(
            "its depth",
            f"Segments and prerequisites are written out inside each other, over {MAX_DEPTH} levels deep here, and "
            "readers refuse the whole definition for that. Nest fewer of them.",
        )
    return size.octets


def _oversize(sizes: Mapping[str, int]) -> list[Omission]:
    """The flags that have no place in a definition any more: the largest ones, so that most are served."""
    whole, taken = sum(sizes.values()), 0
    if whole <= MAX_DEFINITION_BYTES:
        return []
    omissions: list[Omission] = []
    for key, size in sorted(sizes.items(), key=lambda item: item[1]):
        taken += size
        if taken > MAX_DEFINITION_BYTES:
            why = (
                f"All flags together would take {_megabytes(whole)} MB here; a definition has at most "
                f"{_megabytes(MAX_DEFINITION_BYTES)} MB, and the largest flags are left out, such as this one of "
                f"{_megabytes(size)} MB. Every rule repeats its segments: use an attribute instead of long lists."
            )
            omissions.append(Omission(key, "its size beside all others", why))
    return omissions


def _megabytes(octets: int) -> str:
    return f"{octets / 1024 / 1024:,.2f}"


def _by_rules(
    document: Mapping[str, Any], variants: dict[str, Any], writer: TargetingWriter, metadata: dict[str, Any]
) -> dict[str, Any]:
    if writer.needs_total(document):
        return _written(variants, None, writer.total(document), metadata)
    return _written(variants, document["default_variant"], writer.open(document), metadata)


def _switched_off(
    document: Mapping[str, Any], variants: dict[str, Any], writer: TargetingWriter, metadata: dict[str, Any]
) -> dict[str, Any]:
    """flagd gives the code default of a disabled flag; only a flag whose off variant is that can be written as one."""
    if document["off_variant"] is not None:
        return _written(variants, document["off_variant"], None, metadata)
    try:
        written = _by_rules(document, variants, writer, metadata)
    except Inexpressible:
        # Nobody looks at the rules of a disabled flag.
        written = _written(variants, document["default_variant"], None, metadata)
    return {**written, "state": "DISABLED"}


def _written(variants: dict[str, Any], default: str | None, targeting: Any, metadata: dict[str, Any]) -> dict[str, Any]:
    """One flag. Targeting that gives the same variant to everyone still counts as targeting."""
    if default is not None and default not in variants:
        # Evaluators refuse a whole definition for this.
        raise ValueError("The default is none of the variants.")
    if isinstance(targeting, str):
        targeting = {"if": [True, targeting, None]}
    rules = {} if targeting is None else {"targeting": targeting}
    return {"state": "ENABLED", "variants": variants, "defaultVariant": default, **rules, "metadata": metadata}


def _variants(source: FlagSource) -> dict[str, Any]:
    """The values by variant. Numbers with and without a fraction are never mixed in one flag."""
    is_float = source.value_type == "float"
    variants: dict[str, Any] = {}
    for variant in source.document["variants"]:
        value = variant["value"]
        variants[variant["name"]] = float(value) if is_float else value
    if not variants:
        raise ValueError("A flag has at least one variant.")
    return variants


def _weaker(key: str, document: Mapping[str, Any], writer: TargetingWriter) -> list[Omission]:
    """What is said less precisely, with the same answer for callers."""
    return [*_weaker_errors(key, document, writer), *_one_way(key, document, writer)]


def _one_way(key: str, document: Mapping[str, Any], writer: TargetingWriter) -> list[Omission]:
    """What flagd serves, and no document here could hold once its segments are written out."""
    if document["enabled"] is not True or key in writer.forced:
        return []
    reaches = [writer.reach(rule["condition"]) for rule in reached_rules(document)]
    if all(reach.comparisons <= MAX_CONDITIONS and reach.levels <= MAX_LEVELS for reach in reaches):
        return []
    why = (
        f"Its segments are written out, and a rule then has more than {MAX_CONDITIONS} comparisons or nests more than "
        f"{MAX_LEVELS} levels deep. flagd serves it as it is; read back from the definition, the flag is unsupported."
    )
    return [Omission(key, "a way back into Flagsite", why, is_left_out=False)]


def _weaker_errors(key: str, document: Mapping[str, Any], writer: TargetingWriter) -> list[Omission]:
    is_strict = writer.snapshot.requires_targeting_key
    if not is_strict or document["enabled"] is not True or not any(map(is_split_by_key, document["rules"])):
        return []
    why = "Without a targeting key callers get their code default with the reason DEFAULT instead of an error."
    return [Omission(key, "the error TARGETING_KEY_MISSING", why, is_left_out=False)]
