"""How the admin looks: django-unfold's settings. Our own styles are plain CSS files that use its variables."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static

STYLES = ("flagsite/flagsite.css", "flagsite/overview.css")
SCRIPTS = ("flagsite/flagsite.js",)
INDIGO = {
    "50": "oklch(97% .015 277)",
    "100": "oklch(93.5% .035 277)",
    "200": "oklch(88% .065 277)",
    "300": "oklch(79.5% .11 277)",
    "400": "oklch(69.5% .165 277)",
    "500": "oklch(60% .205 277)",
    "600": "oklch(52.5% .225 277)",
    "700": "oklch(46.5% .205 277)",
    "800": "oklch(40.5% .17 277)",
    "900": "oklch(36% .135 278)",
    "950": "oklch(26% .09 281)",
}


def styles_and_scripts(paths: tuple[str, ...]) -> list[Any]:
    """Static files by name, resolved per request so that hashed names of a manifest are found."""

    def address(path: str) -> Any:
        return lambda request: static(path)

    return [address(path) for path in paths]


def favicon(request: HttpRequest) -> str:
    """The symbol in the browser's tab."""
    return static("flagsite/favicon.svg")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Flagsite",
    "SITE_HEADER": "Flagsite",
    "SITE_SUBHEADER": "Feature-flag governance",
    "SITE_SYMBOL": "flag",
    "SITE_URL": "",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": favicon}],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "8px",
    "COLORS": {"primary": INDIGO},
    "DASHBOARD_CALLBACK": "flagsite.desk.add_desk",
    "STYLES": styles_and_scripts(STYLES),
    "SCRIPTS": styles_and_scripts(SCRIPTS),
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": "flagsite.navigation.groups",
    },
}
