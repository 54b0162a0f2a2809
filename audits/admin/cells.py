"""What the audit trail's pages show of one event: instants, people, and links to what it was about."""

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from audits.belonging import Matter
from audits.context import PERSON_TARGET
from audits.models import AuditEvent
from audits.selectors import flag_of, names_of_people

LINK = "text-primary-600 dark:text-primary-500"
# The pages of things, by the type of the target. This app knows none of them: what has no page gets no link.
_PAGES = {
    "change_request": "admin:rollouts_changerequest_change",
    "plan": "admin:rollouts_rolloutplan_change",
    "timeline": "admin:rollouts_deprecationtimeline_change",
    "train": "admin:rollouts_releasetrain_change",
    "flag": "admin:flags_flag_change",
    PERSON_TARGET: "admin:flagsite_user_change",
}
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_IN_A_ROW = 3
_MOST_PEOPLE = 200


def when(event: AuditEvent) -> SafeString:
    """The exact instant with the zone the pages show, and beside it how long ago that is."""
    now, local = timezone.now(), timezone.localtime(event.occurred_at)
    exact = f"{date_format(local, 'j M Y, H:i:s')} {local.tzname()}"
    is_new = (now - event.occurred_at).total_seconds() < 60
    words = "just now" if is_new else f"{timesince(event.occurred_at, now, depth=1)} ago"
    moment = event.occurred_at.isoformat()
    return format_html('<time datetime="{}">{}</time> <span class="fs-subtle">{}</span>', moment, exact, words)


def same_act(event: AuditEvent) -> SafeString:
    """The link to everything of the same act: what one request to the server, or one run of a task, did."""
    return format_html(
        '<a class="{}" href="{}" title="Everything with correlation id {}"><code>{}</code></a>',
        LINK,
        _trail("act", event.correlation_id),
        event.correlation_id,
        str(event.correlation_id)[:8],
    )


def everything_about(event: AuditEvent) -> SafeString | None:
    """Links to all events about the request, plan or timeline that an event belongs to; None where it is none."""
    links = [(_link(_trail("about", matter.id), matter.words),) for matter in event.matters[:_MOST_IN_A_ROW]]
    return format_html_join(SafeString("<br>"), "{}", links) if links else None


def pages_of(matters: Iterable[Matter]) -> SafeString:
    """Lines that lead to everything about each of these, and to its own page."""
    lines = []
    for matter in matters:
        about = _link(_trail("about", matter.id), f"Everything about {matter.words}")
        page = page_of(matter.type, matter.id)
        lines.append((format_html("{} · {}", about, _link(page, "its page")) if page else about,))
    return format_html_join(SafeString("<br>"), "{}", lines)


def target_link(event: AuditEvent) -> SafeString | str:
    """What it was done to, by name, as a link where that has a page."""
    kind = event.target_type.replace("_", " ")
    name = event.target_name or ("" if _UUID.fullmatch(event.target_id) else event.target_id)
    words = f"{name} ({kind})" if name else kind
    page = page_of(event.target_type, event.target_id)
    return _link(page, words) if page else words


def flag_link(event: AuditEvent) -> SafeString | str | None:
    """The key of the flag, as a link where the trail knows which flag had it."""
    if not event.flag_key:
        return None
    page = page_of("flag", event.target_id if event.target_type == "flag" else flag_of(event))
    return _link(page, event.flag_key) if page else event.flag_key


def facts_of(event: AuditEvent) -> SafeString:
    """The facts of an event, folded, below the names of the people whose ids stand in them."""
    text = json.dumps(event.details, indent=2, ensure_ascii=False)
    people = names_of_people(list(dict.fromkeys(_UUID.findall(text)))[:_MOST_PEOPLE])
    named = [(_words_of(name), _people_in(value, people)) for name, value in event.details.items()]
    return format_html(
        '{}<details class="fs-fold"><summary>All facts as JSON</summary>'
        '<pre class="fs-code" style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre></details>',
        format_html_join("", "<p><b>{}</b>: {}</p>", [line for line in named if line[1]]),
        text,
    )


def digest_of(text: str) -> SafeString:
    """A digest, which has no blank to break at: on a narrow screen it goes on in the next line."""
    return format_html('<code style="overflow-wrap: anywhere">{}</code>', text)


def page_of(kind: str, thing: str) -> str:
    """The address of a thing's page, empty where there is none."""
    name = _PAGES.get(kind)
    try:
        return reverse(name, args=[thing]) if name and _UUID.fullmatch(thing) else ""
    except NoReverseMatch:
        return ""


def _words_of(name: str) -> str:
    return name.removesuffix("_ids").removesuffix("_id").replace("_", " ").capitalize()


def _people_in(value: Any, people: dict[str, str]) -> str:
    ids = value if isinstance(value, list) else [value]
    return ", ".join(people[each] for each in ids if isinstance(each, str) and each in people)


def _trail(parameter: str, value: object) -> str:
    return f"{reverse('admin:audits_auditevent_changelist')}?{urlencode({parameter: str(value)})}"


def _link(address: str, words: str) -> SafeString:
    return format_html('<a class="{}" href="{}">{}</a>', LINK, address, words)
