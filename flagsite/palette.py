"""The command palette: pages, flags and requests that a person may see."""

from typing import cast

from django.contrib.auth.models import AbstractUser
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.dataclasses import SearchResult

from flagsite import desk
from flagsite.navigation import groups

TEMPLATE = "unfold/helpers/command_results.html"
PALETTE_SIZE = 30


def answer(request: HttpRequest) -> HttpResponse:
    """What matches `?s=`. Nothing is cached, so rights that are taken away hold at once."""
    text = request.GET.get("s", "").strip()[:100]
    if not text:
        return HttpResponse()
    results = Paginator(_found(request, text), PALETTE_SIZE).page(1)
    context = {
        "page_obj": results.paginator,
        "results": results,
        "page_counter": 0,
        "execution_time": 0,
        "command_show_history": False,
    }
    return TemplateResponse(request, "unfold/helpers/command_results.html", context, headers={"HX-Trigger": "search"})


def _found(request: HttpRequest, text: str) -> list[SearchResult]:
    user = cast(AbstractUser, request.user)
    items = [item for group in groups(request) for item in group["items"]]
    results = [
        SearchResult(item["title"], "Page", item["link"], item["icon"])
        for item in items
        if text.casefold() in item["title"].casefold()
    ]
    flags, requests = desk.find(user, text)
    for flag in flags:
        address = reverse("admin:flags_flag_change", args=[flag.pk])
        results.append(SearchResult(flag.name, f"{flag.project.name} · {flag.key}", address, "flag"))
    for row in requests:
        address = reverse("admin:rollouts_changerequest_change", args=[row.pk])
        about = f"{row.get_state_display()} · {row.environment.name}"
        results.append(SearchResult(row.label, about, address, "rate_review"))
    return results
