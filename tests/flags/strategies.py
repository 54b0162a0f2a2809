"""Hypothesis strategies for documents and evaluation contexts.

`config_documents(value_type)` and `segment_documents()` give valid, normalised documents whose rules name segments of
`SEGMENT_KEYS` and whose prerequisites name flags of `FLAG_KEYS` only. `snapshots()` puts them together, circles and
missing flags included. `contexts()` gives what a caller may send, hostile values included.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import strategies as st

from flags.documents import TOTAL_WEIGHT, VALUE_TYPES, normalise_config, normalise_segment
from flags.evaluation import FlagSource, Generation, Snapshot

SEGMENT_KEYS = ("beta-customers", "staff", "everyone-in-norway")
FLAG_KEYS = ("checkout", "search", "new-prices", "banner")
TARGETING_KEYS = ("user-1", "user-2", "Zoë", "漢字", "x" * 1_024)
ATTRIBUTES = ("plan", "country", "version", "age", "beta", "signed_up_at", "targetingKey", "naïve name")

_LETTERS = "abcXYZ019 .,-_/äß漢🙂'\"<&"
_NAMES = ("on", "off", "blue", "A/B 50 %", "r1", "r2", "gold", "ärger", "漢字", "<b>", "-1", "0", "'", "🙂")
# Windows start and end at these; `moments()` gives them and what is next to them.
_EDGES = tuple(datetime(2026, month, 1, 8, 30, tzinfo=UTC) for month in (1, 4, 7, 10))

_MOSTLY = st.booleans() | st.just(True)

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


# Strategies are costly to make, and the names of variants differ from document to document: what is drawn are places.


def _one_of(draw: st.DrawFn, items: Sequence[str]) -> str:
    return items[draw(st.integers(0, len(items) - 1))]


def _some_of(draw: st.DrawFn, items: Sequence[str], *, min_size: int = 0, max_size: int | None = None) -> list[str]:
    return [items[place] for place in draw(_places(len(items), min_size, max_size))]


@cache
def _places(amount: int, min_size: int, max_size: int | None) -> st.SearchStrategy[list[int]]:
    return st.lists(st.sampled_from(range(amount)), min_size=min_size, max_size=max_size, unique=True)


@st.composite
def serves(draw: st.DrawFn, variant_names: list[str]) -> dict[str, Any]:
    """One variant, or a split of some of them whose weights make 100 %."""
    if draw(st.booleans()):
        return {"variant": _one_of(draw, variant_names)}
    chosen = _some_of(draw, variant_names, min_size=1)
    cuts = sorted(draw(st.lists(st.integers(0, TOTAL_WEIGHT), min_size=len(chosen) - 1, max_size=len(chosen) - 1)))
    ends = [*cuts, TOTAL_WEIGHT]
    weights = [end - start for start, end in zip([0, *cuts], ends, strict=True)]
    return {"split": [{"variant": name, "weight": weight} for name, weight in zip(chosen, weights, strict=True)]}


@st.composite
def config_documents(draw: st.DrawFn, value_type: str | None = None, *, endings: bool = False) -> dict[str, Any]:
    """Valid config documents of one value type, or of any; with `endings`, some of flags that end."""
    value_type = value_type or _one_of(draw, VALUE_TYPES)
    variant_names = _some_of(draw, _NAMES, min_size=1, max_size=4)
    variants = [
        {"name": name, "value": draw(values(value_type)), "description": draw(texts())} for name in variant_names
    ]
    rule_ids = _some_of(draw, _NAMES, max_size=3)
    document = {
        "schema": 1,
        "enabled": draw(_MOSTLY),
        "off_variant": None if draw(st.booleans()) else _one_of(draw, variant_names),
        "variants": variants,
        "default_variant": None if draw(st.booleans()) else _one_of(draw, variant_names),
        "salt": draw(names()),
        "rules": [draw(rules(rule_id, variant_names)) for rule_id in rule_ids],
    } | draw(st.fixed_dictionaries({}, optional={
        "client_visible": st.booleans(),
        "targets": targets(variant_names),
        "prerequisites": prerequisites(),
        **({"deprecation": deprecations(variant_names)} if endings else {}),
    }))  # fmt: skip
    return normalise_config(document, value_type=value_type)


@cache
def _conditions_or_none() -> st.SearchStrategy[dict[str, Any] | None]:
    return st.none() | conditions()


@cache
def _of_splits() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={"salt": names(), "bucket_by": st.sampled_from(ATTRIBUTES)})


@cache
def _edges() -> st.SearchStrategy[list[datetime]]:
    return st.lists(st.sampled_from(_EDGES), max_size=2, unique=True)


@st.composite
def rules(draw: st.DrawFn, rule_id: str, variant_names: list[str]) -> dict[str, Any]:
    """Rules, some with a window, and splits with a salt or an attribute of their own."""
    serve = draw(serves(variant_names))
    rule = {"id": rule_id, "description": draw(texts()), "condition": draw(_conditions_or_none()), "serve": serve}
    if "split" in serve:
        rule |= draw(_of_splits())
    edges = sorted(draw(_edges()))
    fields = ["starts_at", "ends_at"] if len(edges) == 2 else [_one_of(draw, ("starts_at", "ends_at"))]
    return rule | {field: edge.isoformat() for field, edge in zip(fields, edges, strict=False)}


@st.composite
def targets(draw: st.DrawFn, variant_names: list[str]) -> list[dict[str, Any]]:
    """Individual targets: every variant and every key at most once."""
    chosen = _some_of(draw, variant_names, max_size=3)
    keys = _some_of(draw, TARGETING_KEYS, max_size=4)
    shared = [keys[position :: len(chosen)] for position in range(len(chosen))]
    return [{"variant": variant, "keys": own} for variant, own in zip(chosen, shared, strict=True)]


@st.composite
def deprecations(draw: st.DrawFn, variant_names: list[str]) -> dict[str, Any]:
    """The end of a flag: told from an edge of windows on, some with a withdrawal, few archived."""
    withdrawal = st.fixed_dictionaries(
        {
            "weight": st.integers(1, TOTAL_WEIGHT) | st.just(TOTAL_WEIGHT),
            "serves": st.none() | st.sampled_from(variant_names),
        },
        optional={"until": st.sampled_from(_EDGES).map(datetime.isoformat)},
    )
    fields = {
        "sunset_at": st.just("2027-03-01T00:00:00Z"),
        "successor": st.sampled_from(FLAG_KEYS),
        "link": st.just("https://example.org/ends"),
        "withdrawal": withdrawal,
        "is_archived": st.integers(0, 7).map(lambda number: number == 0),
    }
    return draw(
        st.fixed_dictionaries({"deprecated_at": st.sampled_from(_EDGES).map(datetime.isoformat)}, optional=fields)
    )


@cache
def prerequisites() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Prerequisites on flags of `FLAG_KEYS`, with variants that may or may not exist there."""
    item = st.fixed_dictionaries(
        {"flag": st.sampled_from(FLAG_KEYS), "variants": st.lists(names(), min_size=1, max_size=8, unique=True)}
    )
    return st.lists(item, max_size=2, unique_by=lambda item: item["flag"])


@cache
def segment_documents(*, nested: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Valid segment documents; nested ones use segments of `SEGMENT_KEYS`, perhaps in a circle."""
    return st.fixed_dictionaries({"schema": st.just(1), "condition": conditions(segments=nested)}).map(
        normalise_segment
    )


@cache
def _segments() -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(SEGMENT_KEYS), segment_documents(nested=True))


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Whole environments whose flags require each other and whose segments use each other."""
    flags: dict[str, FlagSource] = {}
    for key in _some_of(draw, FLAG_KEYS, min_size=1):
        value_type = _one_of(draw, VALUE_TYPES)
        flags[key] = FlagSource(value_type, draw(config_documents(value_type, endings=True)), draw(st.integers(1, 9)))
    segments = draw(_segments())
    generation, strict = draw(st.sampled_from(Generation)), draw(st.booleans())
    return Snapshot("shop", "id", "production", 7, generation, flags, segments, strict)


@st.composite
def forced_variants(draw: st.DrawFn, snapshot: Snapshot) -> dict[str, str]:
    """Kill lists for a snapshot, unknown flags and variants included."""
    forced = draw(st.dictionaries(st.sampled_from((*FLAG_KEYS, "nothing")), names(), max_size=2))
    for key, source in snapshot.flags.items():
        if draw(st.integers(0, 5)) == 0:
            forced[key] = draw(st.sampled_from([variant["name"] for variant in source.document["variants"]]))
    return forced


@cache
def moments() -> st.SearchStrategy[datetime]:
    """Instants in, at and right beside the edges of windows."""
    nearby = st.sampled_from([timedelta(microseconds=-1), timedelta(0), timedelta(microseconds=1), timedelta(days=40)])
    return st.builds(lambda edge, distance: edge + distance, st.sampled_from(_EDGES), nearby)


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
    usual = st.fixed_dictionaries({}, optional={"targetingKey": st.sampled_from(TARGETING_KEYS), "plan": texts()})
    return st.tuples(unknown, known, usual).map(lambda parts: parts[0] | parts[1] | parts[2])
