"""A definition with a flag of every grade."""

import json
from typing import Any

X = {"var": "plan"}


def flag(targeting: Any = None, **fields: Any) -> dict[str, Any]:
    """A boolean flag as flagd has it."""
    made = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off", **fields}
    return made if targeting is None else {**made, "targeting": targeting}


FLAGS = {
    "checkout-redesign": flag({"if": [{"===": [X, "gold"]}, "on", None]}),
    "new-search": flag({"if": [{"==": [X, "gold"]}, "on"]}),
    "dark-mode": flag({"if": [{"===": [{"var": "user.plan"}, "gold"]}, "on"]}),
}
DEFINITION = json.dumps({"flags": FLAGS, "metadata": {"flagSetId": "legacy"}}).encode()
