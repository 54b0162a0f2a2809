"""What a developer pastes to read a flag: the published OpenFeature SDKs with their OFREP providers."""

import json
from dataclasses import dataclass

from flags.models import Flag
from flags.models.flags import ValueType

_PYTHON = {
    ValueType.BOOLEAN: ("get_boolean_value", "False"),
    ValueType.STRING: ("get_string_value", '""'),
    ValueType.INTEGER: ("get_integer_value", "0"),
    ValueType.FLOAT: ("get_float_value", "0.0"),
    ValueType.OBJECT: ("get_object_value", "{}"),
}
_JAVASCRIPT = {
    ValueType.BOOLEAN: ("getBooleanValue", "false"),
    ValueType.STRING: ("getStringValue", '""'),
    ValueType.INTEGER: ("getNumberValue", "0"),
    ValueType.FLOAT: ("getNumberValue", "0"),
    ValueType.OBJECT: ("getObjectValue", "{}"),
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """Code in one language."""

    language: str
    install: str
    code: str


def snippets_for(flag: Flag, *, base_url: str) -> list[Snippet]:
    """The code for a flag, in every language there is a provider for here."""
    return [_python(flag, base_url), _javascript(flag, base_url)]


def _python(flag: Flag, base_url: str) -> Snippet:
    method, default = _PYTHON[ValueType(flag.value_type)]
    code = f"""from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

api.set_provider(OFREPProvider(
    base_url={json.dumps(base_url)},
    headers_factory=lambda: {{"X-API-Key": FLAGSITE_TOKEN}},
))
value = api.get_client().{method}(
    {json.dumps(flag.key)}, {default}, EvaluationContext(targeting_key=user_id)
)"""
    return Snippet("Python", "pip install openfeature-sdk openfeature-provider-ofrep", code)


def _javascript(flag: Flag, base_url: str) -> Snippet:
    method, default = _JAVASCRIPT[ValueType(flag.value_type)]
    code = f"""import {{ OpenFeature }} from "@openfeature/server-sdk";
import {{ OFREPProvider }} from "@openfeature/ofrep-provider";

await OpenFeature.setProviderAndWait(new OFREPProvider({{
  baseUrl: {json.dumps(base_url)},
  headers: [["X-API-Key", FLAGSITE_TOKEN]],
}}));
const value = await OpenFeature.getClient().{method}(
  {json.dumps(flag.key)}, {default}, {{ targetingKey: userId }}
);"""
    return Snippet("JavaScript", "npm install @openfeature/server-sdk @openfeature/ofrep-provider", code)
