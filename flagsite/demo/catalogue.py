"""The flags and segments of the demo: one or more of every kind and every value type."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flags.documents import initial_document

EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class DemoFlag:
    """A flag with what it serves per environment; an environment that is missing keeps the flag switched off."""

    project: str
    key: str
    name: str
    kind: str
    value_type: str
    description: str
    owner: str
    tags: tuple[str, ...]
    serves: Mapping[str, Mapping[str, Any]]
    variants: tuple[tuple[str, Any], ...] = ()

    def variant_list(self) -> list[dict[str, Any]] | None:
        """The variants as documents hold them; None stands for on and off."""
        return [{"name": name, "value": value} for name, value in self.variants] or None

    def document(self, *, now: datetime, **changes: Any) -> dict[str, Any]:
        """The flag's first document with some fields changed; windows are told in days from `now`."""
        first = initial_document(self.key, self.value_type, self.variant_list())
        rules = [_dated(item, now) for item in changes.get("rules", [])]
        return {**first, "enabled": True, **changes, "rules": rules}


@dataclass(frozen=True, slots=True)
class DemoAttribute:
    """An attribute that the services of a project send."""

    name: str
    value_type: str
    description: str
    grants_access: bool = True


def _dated(item: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        field: (midnight + value).isoformat() if isinstance(value, timedelta) else value
        for field, value in item.items()
    }


def rule(
    rule_id: str, description: str, condition: dict[str, Any] | None, serve: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """A rule as documents hold it. `more`: salt, bucket_by, and starts_at and ends_at as a time from today."""
    return {"id": rule_id, "description": description, "condition": condition, "serve": serve, **more}


def split(first: str, percent: float, second: str) -> dict[str, Any]:
    """A split of two variants, the growing one first."""
    weight = round(percent * 1000)
    return {"split": [{"variant": first, "weight": weight}, {"variant": second, "weight": 100_000 - weight}]}


def share(percent: float, first: str = "on", second: str = "off") -> dict[str, Any]:
    """Rules that serve `first` to a share of everyone."""
    return {"rules": [rule(EVERYONE, "Everyone", None, split(first, percent, second))]}


def where(attribute: str, operator: str, value: Any = None) -> dict[str, Any]:
    """One condition."""
    return {"attribute": attribute, "operator": operator, "value": value}


BETA = rule("beta", "Beta customers", {"segment": "beta-customers"}, {"variant": "on"})
STAFF = rule("staff", "Our own staff", {"segment": "staff"}, {"variant": "on"})
EVERYBODY_ON = {"default_variant": "on"}
REDESIGNED = [{"flag": "checkout-redesign", "variants": ["on"]}]
_SEASON = {"starts_at": timedelta(days=10), "ends_at": timedelta(days=24)}
SALE = rule("sale", "Everyone, for two weeks", None, {"variant": "sale"}, **_SEASON)
NORDIC_SALE = rule(
    "nordics",
    "Nordic countries, a smaller sale",
    where("country", "in", ["DK", "FI", "NO", "SE"]),
    {"variant": "nordic-sale"},
    **_SEASON,
)

SEGMENTS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "storefront": {
        "beta-customers": ("Beta customers", where("betaTester", "is_true")),
        "staff": ("Our own staff", where("email", "ends_with", "@storefront.example")),
        "big-spenders": (
            "Big spenders",
            {"and": [where("plan", "in", ["gold", "platinum"]), where("ordersLastYear", "greater_or_equal", 12)]},
        ),
        "first-to-see": (
            "First to see new things",
            {"or": [{"segment": "staff"}, {"segment": "beta-customers"}]},
        ),
    },
    "support-tools": {"finance-team": ("Finance team", where("department", "equals", "finance"))},
}

ATTRIBUTES: dict[str, tuple[DemoAttribute, ...]] = {
    "storefront": (
        DemoAttribute("plan", "text", "What the customer pays for: free, gold or platinum"),
        DemoAttribute("email", "text", "Confirmed address of the account"),
        DemoAttribute("betaTester", "boolean", "Signed up for early features"),
        DemoAttribute("ordersLastYear", "number", "Orders in the last twelve months"),
        DemoAttribute("role", "text", "Role of the person in the support team"),
        DemoAttribute("trainee", "boolean", "In the first three months"),
        DemoAttribute("country", "text", "Country of delivery, two letters", grants_access=False),
        DemoAttribute("platform", "text", "web, ios or android", grants_access=False),
        DemoAttribute("appVersion", "version", "Version of the app", grants_access=False),
    ),
    "support-tools": (
        DemoAttribute("department", "text", "Department in the staff directory"),
        DemoAttribute("company", "text", "Id of the customer's company"),
    ),
}

FLAGS = (
    DemoFlag(
        "storefront",
        "checkout-redesign",
        "Checkout redesign",
        "release",
        "boolean",
        "The one-page checkout. Grows share by share while support watches the tickets.",
        "mira",
        ("checkout", "q1"),
        {
            "development": EVERYBODY_ON,
            "staging": {"rules": [STAFF, rule(EVERYONE, "Everyone", None, split("on", 50, "off"))]},
            "production": {"rules": [BETA, rule(EVERYONE, "Everyone", None, split("on", 5, "off"))]},
        },
    ),
    DemoFlag(
        "storefront",
        "loyalty-points",
        "Loyalty points",
        "release",
        "boolean",
        "Points for every order, shown in the basket.",
        "mira",
        ("loyalty",),
        {"development": EVERYBODY_ON, "staging": EVERYBODY_ON, "production": share(20)},
    ),
    DemoFlag(
        "storefront",
        "search-ranking",
        "Search ranking",
        "experiment",
        "string",
        "Which ranking orders the search results.",
        "nora",
        ("search", "experiment"),
        {
            "development": {"default_variant": "semantic"},
            "staging": share(50, "semantic", "classic"),
            "production": {
                "rules": [
                    rule("spenders", "Big spenders", {"segment": "big-spenders"}, {"variant": "personal"}),
                    rule(EVERYONE, "Everyone", None, split("semantic", 10, "classic")),
                ]
            },
        },
        (("classic", "classic"), ("semantic", "semantic-v2"), ("personal", "personal-v1")),
    ),
    DemoFlag(
        "storefront",
        "free-shipping-from",
        "Free shipping from",
        "operational",
        "integer",
        "Order value in euros from which shipping is free.",
        "rosa",
        ("shipping", "pricing"),
        {
            "development": {"default_variant": "generous"},
            "production": {
                "rules": [
                    rule(
                        "nordics",
                        "Nordic countries",
                        where("country", "in", ["DK", "FI", "NO", "SE"]),
                        {"variant": "high"},
                    )
                ]
            },
        },
        (("standard", 50), ("high", 80), ("generous", 0)),
    ),
    DemoFlag(
        "storefront",
        "price-rounding",
        "Price rounding",
        "operational",
        "float",
        "Step to which prices are rounded.",
        "rosa",
        ("pricing",),
        {"staging": {"default_variant": "fine"}, "production": {}},
        (("coarse", 1.0), ("fine", 0.05)),
    ),
    DemoFlag(
        "storefront",
        "hero-banner",
        "Hero banner",
        "experiment",
        "object",
        "Text and colour of the banner on the landing page.",
        "mira",
        ("landing", "experiment"),
        {
            "development": {"default_variant": "summer", "client_visible": True},
            "staging": {"default_variant": "summer", "client_visible": True},
            "production": {**share(30, "summer", "plain"), "client_visible": True},
        },
        (
            ("plain", {"title": "Welcome back", "colour": "slate"}),
            ("summer", {"title": "Summer starts here", "colour": "amber", "button": "Shop the sale"}),
        ),
    ),
    DemoFlag(
        "storefront",
        "card-payments",
        "Card payments",
        "kill_switch",
        "boolean",
        "Switch off when the card provider is down: the shop falls back to invoices.",
        "rosa",
        ("payments",),
        {"development": EVERYBODY_ON, "staging": EVERYBODY_ON, "production": EVERYBODY_ON},
    ),
    DemoFlag(
        "storefront",
        "new-onboarding",
        "New onboarding",
        "release",
        "boolean",
        "Guided first visit on iOS and Android. Not in production yet.",
        "nora",
        ("mobile",),
        {
            "development": EVERYBODY_ON,
            "staging": {
                "rules": [
                    rule(
                        "app",
                        "App 4.2 and later",
                        {
                            "and": [
                                where("platform", "in", ["ios", "android"]),
                                where("appVersion", "version_greater_or_equal", "4.2.0"),
                            ]
                        },
                        {"variant": "on"},
                    )
                ]
            },
        },
    ),
    DemoFlag(
        "storefront",
        "express-refunds",
        "Express refunds",
        "permission",
        "boolean",
        "Refund without review, for people support trusts.",
        "nora",
        ("support",),
        {
            "staging": EVERYBODY_ON,
            "production": {
                "off_variant": None,
                "rules": [
                    rule(
                        "support",
                        "Support leads, except trainees",
                        {"and": [where("role", "equals", "support-lead"), {"not": where("trainee", "is_true")}]},
                        {"variant": "on"},
                    )
                ],
            },
        },
    ),
    DemoFlag(
        "storefront",
        "one-click-reorder",
        "One-click reorder",
        "release",
        "boolean",
        "Order the same basket again. Only makes sense on top of the checkout redesign.",
        "mira",
        ("checkout",),
        {
            "development": {**EVERYBODY_ON, "prerequisites": REDESIGNED},
            "staging": {
                "prerequisites": REDESIGNED,
                "rules": [rule("first", "First to see", {"segment": "first-to-see"}, {"variant": "on"})],
            },
            "production": {
                "prerequisites": REDESIGNED,
                "targets": [
                    {"variant": "on", "keys": ["customer-1007", "customer-2290", "customer-3141"]},
                    {"variant": "off", "keys": ["customer-0042"]},
                ],
                "rules": [rule("first", "First to see", {"segment": "first-to-see"}, {"variant": "on"})],
            },
        },
    ),
    DemoFlag(
        "storefront",
        "season-sale",
        "Season sale",
        "operational",
        "string",
        "Sale banner and prices. Starts and ends by itself.",
        "nora",
        ("pricing", "landing"),
        {
            # The rule for Nordic countries comes too late: the linter says so.
            "development": {"client_visible": True, "rules": [SALE, NORDIC_SALE]},
            "staging": {"client_visible": True, "rules": [NORDIC_SALE, SALE]},
            "production": {"client_visible": True, "rules": [NORDIC_SALE, SALE]},
        },
        (("off", ""), ("sale", "sale-20"), ("nordic-sale", "sale-15")),
    ),
    DemoFlag(
        "support-tools",
        "team-inbox",
        "Team inbox",
        "release",
        "boolean",
        "One inbox per company. Whole companies get it at once, so colleagues see the same.",
        "mira",
        ("inbox",),
        {
            "development": EVERYBODY_ON,
            "staging": EVERYBODY_ON,
            "production": {
                "rules": [rule(EVERYONE, "Company by company", None, split("on", 40, "off"), bucket_by="company")]
            },
        },
    ),
    DemoFlag(
        "support-tools",
        "invoice-pdf",
        "Invoice PDF",
        "release",
        "boolean",
        "Invoices as PDF with the new layout.",
        "mira",
        ("invoices",),
        {"development": EVERYBODY_ON, "staging": EVERYBODY_ON, "production": share(100)},
    ),
    DemoFlag(
        "support-tools",
        "bulk-refunds",
        "Bulk refunds",
        "permission",
        "boolean",
        "Many refunds at once, for the finance team.",
        "rosa",
        ("finance",),
        {
            "development": EVERYBODY_ON,
            "production": {"rules": [rule("finance", "Finance team", {"segment": "finance-team"}, {"variant": "on"})]},
        },
    ),
    DemoFlag(
        "support-tools",
        "fraud-score-limit",
        "Fraud score limit",
        "operational",
        "float",
        "Orders above this score wait for a person.",
        "rosa",
        ("fraud",),
        {"production": share(25, "strict", "usual")},
        (("usual", 0.8), ("strict", 0.65)),
    ),
)
