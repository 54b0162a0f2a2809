"""Hypothesis strategies for documents and evaluation contexts.

`config_documents(value_type)` and `segment_documents()` give valid, normalised documents whose rules name segments of
`SEGMENT_KEYS` only. `contexts()` gives what a caller may send, hostile values included.
"""

from functools import cache
from typing import Any

from hypothesis import strategies as st

from flags.documents import TOTAL_WEIGHT, VALUE_TYPES, normalise_config, normalise_segment

SEGMENT_KEYS = ("beta-customers", "staff", "everyone-in-norway")
ATTRIBUTES = ("plan", "country", "version", "age", "beta", "signed_up_at", "targetingKey", "naïve name")

_LETTERS = "abcXYZ019 .,-_/äß漢🙂'\"<&"
_NAMES = ("on", "off", "blue", "A/B 50 %", "r1", "r2", "gold", "ärger", "漢字", "<b>", "-1", "0", "'", "🙂")

Json = Any


@cache
def texts(*, min_size: int = 0, max_size: int = 6) -> st.SearchStrategy[str]:
    """Readable text without control characters."""
    return st.text(alphabet=_LETTERS, min_size=min_size, max_size=max_size)


@cache
def names() -> st.SearchStrategy[str]:
    """Names of variants and ids of rules."""
    return st.sampled_from(_NAMES)


def integers() -> st.SearchStrategy[int]:
    """Whole numbers that documents may hold."""
    return st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)


def floats() -> st.SearchStrategy[float]:
    """Floats that documents may hold."""
    bound = float(2**53 - 1)
    return st.floats(min_value=-bound, max_value=bound, allow_nan=False).map(lambda number: number or 0.0)


@cache
def json_values(*, max_leaves: int = 4) -> st.SearchStrategy[Json]:
    """JSON values that documents may hold."""
    leaves = st.none() | st.booleans() | integers() | floats() | texts()
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts(), inner, max_size=2),
        max_leaves=max_leaves,
    )


@cache
def values(value_type: str) -> st.SearchStrategy[Json]:
    """Variant values of a value type."""
    objects = st.dictionaries(texts(), json_values(), max_size=2)
    by_type: dict[str, st.SearchStrategy[Json]] = {
        "boolean": st.booleans(),
        "string": texts(),
        "integer": integers(),
        "float": floats(),
        "object": objects,
    }
    return by_type[value_type]


@cache
def versions() -> st.SearchStrategy[str]:
    """Semantic versions, partial ones among them."""
    number = st.integers(min_value=0, max_value=20).map(str)
    return st.lists(number, min_size=1, max_size=3).map(".".join)


@cache
def instants() -> st.SearchStrategy[str]:
    """RFC 3339 instants."""
    return st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat() + "Z")


@cache
def comparisons() -> st.SearchStrategy[dict[str, Any]]:
    """One comparison with any operator and a fitting value."""
    number = integers() | floats()
    fitting: dict[str, st.SearchStrategy[Json]] = {}
    for operator in ("equals", "not_equals"):
        fitting[operator] = texts() | st.booleans() | number
    for operator in ("in", "not_in"):
        fitting[operator] = st.lists(texts() | number, min_size=1, max_size=5)
    for operator in ("contains", "starts_with", "ends_with"):
        fitting[operator] = fitting[f"not_{operator}"] = texts(min_size=1)
    for operator in ("number_equals", "less_than", "less_or_equal", "greater_than", "greater_or_equal"):
        fitting[operator] = number
    for relation in ("equals", "less_than", "less_or_equal", "greater_than", "greater_or_equal"):
        fitting[f"version_{relation}"] = versions()
    fitting["version_same_major"] = fitting["version_same_minor"] = versions()
    for operator in ("is_set", "is_not_set", "is_true", "is_false"):
        fitting[operator] = st.none()
    fitting["before"] = fitting["after"] = instants()
    return st.sampled_from(sorted(fitting)).flatmap(
        lambda operator: st.fixed_dictionaries(
            {"attribute": st.sampled_from(ATTRIBUTES), "operator": st.just(operator), "value": fitting[operator]}
        )
    )


@cache
def conditions(*, segments: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions with groups and negation."""
    leaves = comparisons()
    if segments:
        leaves |= st.fixed_dictionaries({"segment": st.sampled_from(SEGMENT_KEYS)})
    return st.recursive(
        leaves,
        lambda inner: (
            st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=3)})
            | st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=3)})
            | st.fixed_dictionaries({"not": inner})
        ),
        max_leaves=4,
    ).filter(lambda condition: _depth(condition) <= 8)


def _depth(condition: dict[str, Any]) -> int:
    inner = [*condition.get("and", ()), *condition.get("or", ()), *([condition["not"]] if "not" in condition else ())]
    return 1 + max(map(_depth, inner), default=0)


@st.composite
def serves(draw: st.DrawFn, variant_names: list[str]) -> dict[str, Any]:
    """One variant, or a split of some of them whose weights make 100 %."""
    if draw(st.booleans()):
        return {"variant": draw(st.sampled_from(variant_names))}
    chosen = draw(st.lists(st.sampled_from(variant_names), min_size=1, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, TOTAL_WEIGHT), min_size=len(chosen) - 1, max_size=len(chosen) - 1)))
    ends = [*cuts, TOTAL_WEIGHT]
    weights = [end - start for start, end in zip([0, *cuts], ends, strict=True)]
    return {"split": [{"variant": name, "weight": weight} for name, weight in zip(chosen, weights, strict=True)]}


@st.composite
def config_documents(draw: st.DrawFn, value_type: str | None = None) -> dict[str, Any]:
    """Valid config documents of one value type, or of any."""
    value_type = value_type or draw(st.sampled_from(VALUE_TYPES))
    variant_names = draw(st.lists(names(), min_size=1, max_size=4, unique=True))
    variants = [
        {"name": name, "value": draw(values(value_type)), "description": draw(texts())} for name in variant_names
    ]
    rule_ids = draw(st.lists(names(), max_size=3, unique=True))
    rules = [
        {
            "id": rule_id,
            "description": draw(texts()),
            "condition": draw(st.none() | conditions()),
            "serve": draw(serves(variant_names)),
        }
        for rule_id in rule_ids
    ]
    document = {
        "schema": 1,
        "enabled": draw(st.booleans()),
        "off_variant": draw(st.none() | st.sampled_from(variant_names)),
        "variants": variants,
        "default_variant": draw(st.none() | st.sampled_from(variant_names)),
        "salt": draw(names()),
        "rules": rules,
    }
    return normalise_config(document, value_type=value_type)


@cache
def segment_documents() -> st.SearchStrategy[dict[str, Any]]:
    """Valid segment documents."""
    return st.fixed_dictionaries({"schema": st.just(1), "condition": conditions(segments=False)}).map(normalise_segment)


@cache
def hostile_values() -> st.SearchStrategy[Json]:
    """Anything a JSON body can turn into, and more: lone surrogates, huge and non-finite numbers, deep nesting."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.sampled_from([10**400, -(10**30), 2**53, 1.0, 1, 0, True, "", "1", "2.4.0", "\ud800", "\x00", "9" * 5_000])
        | st.floats()
        | st.text(alphabet=st.characters())
        | texts()
        | versions()
        | instants()
    )
    nested = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)
    return nested | st.integers(1, 2_000).map(_deep)


def _deep(levels: int) -> Json:
    value: Json = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"inner": value}
    return value


@cache
def contexts() -> st.SearchStrategy[dict[str, Any]]:
    """Evaluation contexts: the attributes that rules name with any value, and attributes nobody names."""
    known = st.dictionaries(st.sampled_from(ATTRIBUTES), hostile_values(), max_size=len(ATTRIBUTES))
    unknown = st.dictionaries(st.text(), hostile_values(), max_size=2)
    return st.tuples(unknown, known).map(lambda both: both[0] | both[1])
