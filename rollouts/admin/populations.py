"""The population in the form on the page of a request: a description, a file of contexts, or those sampled."""

import json
from typing import Any

from django.http import HttpRequest

from flags.services.keys import problem
from rollouts.impact import MAX_BYTES

MOST_CHARACTERS = 64 * 1024


def posted_population(request: HttpRequest) -> dict[str, Any]:
    """What to ask for. Raises InvalidInput; what was typed is not repeated."""
    upload = request.FILES.get("contexts")
    if upload is not None:
        if upload.size is None or upload.size > MAX_BYTES:
            raise problem("contexts", f"The file is larger than {MAX_BYTES >> 20} MB. Hand in fewer contexts.")
        return {"contexts": upload.read() or b" "}
    if request.POST.get("people") == "sampled":
        return {"sampled": True}
    text = request.POST.get("population", "")
    if len(text) > MOST_CHARACTERS:
        raise problem("population", "The description of the population is too long.")
    try:
        return {"population": json.loads(text)}
    except (ValueError, RecursionError):
        raise problem(
            "population", "The description of the population is not valid JSON. Check commas and brackets."
        ) from None
