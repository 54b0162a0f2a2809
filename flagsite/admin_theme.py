"""How the admin looks: django-unfold's settings. Our own styles are one plain CSS file that uses its variables."""

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Flagsite",
    "SITE_HEADER": "Flagsite",
    "SITE_SUBHEADER": "Feature-flag governance",
    "SITE_SYMBOL": "flag",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
}
