"""The one written form of a manifest: the same manifest gives the same bytes, and reading them gives it back."""

from collections.abc import Mapping
from typing import Any

import yaml

from .nodes import FLOAT, INTEGER

_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# What is read first stands first; everything else follows by its name.
_ORDER = (
    "version", "project", "key", "title", "name", "description", "reason", "rationale", "kind", "value_type",
    "value_schema", "owner", "team", "tags", "links", "successor", "is_protected", "requires_targeting_key",
    "generation", "position", "policy", "required_approvals", "named_approvers", "expires_after_hours", "flags",
    "environments", "policy_rules", "plan_templates", "segments", "config", "timeline", "plans", "definition", "schema",
    "enabled", "off_variant", "variants", "value", "default_variant", "salt", "prerequisites", "targets", "rules", "id",
    "condition", "attribute", "operator", "serve", "variant", "weight",
)  # fmt: skip
_RANK = {name: rank for rank, name in enumerate(_ORDER)}


class _Dumper(_DUMPER):  # type: ignore[misc]
    """Writes text in quotes wherever this product's reader, or one of YAML 1.1, would take it for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        """Nothing is written as a reference to something else."""
        return True


_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", INTEGER, list("-0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-0123456789"))


def write_manifest(manifest: Mapping[str, Any]) -> str:
    """The text of a manifest, in UTF-8 and ending with a line break."""
    text: str = yaml.dump(
        in_order(manifest), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=120
    )
    return text


def in_order(value: Any) -> Any:
    """The value with the keys of every mapping in their order."""
    if isinstance(value, Mapping):
        return {key: in_order(value[key]) for key in sorted(value, key=_place)}
    if isinstance(value, list | tuple):
        return [in_order(item) for item in value]
    return value


def _place(key: str) -> tuple[int, str]:
    return _RANK.get(key, len(_RANK)), key
