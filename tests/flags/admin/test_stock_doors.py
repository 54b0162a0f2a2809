"""The stock pages of Django's admin: no door of theirs writes, whoever knocks and whatever is sent."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.urls import NoReverseMatch, reverse

from audits.models import AuditEvent
from flags.admin.governed import GovernedAdmin
from flags.models import Environment, EnvironmentToken, Flag, FlagConfig, Segment
from flagsite.models import User
from tests.factories import World
from tests.support.admin import signed_in

GOVERNED = [model for model, page in admin.site._registry.items() if isinstance(page, GovernedAdmin)]
FORGED = {
    "action": "delete_selected", "select_across": "1", "index": "0", "post": "yes", "_save": "Save",
    "form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": "1", "is_superuser": "on", "is_staff": "on",
    "name": "forged", "key": "not a key", "document": "{}", "is_protected": "", "version": "9",
}  # fmt: skip


def rows() -> list[list[dict[str, Any]]]:
    """Everything a forged POST might have changed."""
    models: tuple[Any, ...] = (Flag, FlagConfig, Segment, Environment, EnvironmentToken, User)
    return [list(model._default_manager.order_by("pk").values()) for model in models]


@pytest.mark.parametrize("model", GOVERNED, ids=lambda model: model.__name__)
@pytest.mark.parametrize("role", ["ada", "rita", "vera"])
def test_stock_door__forged_post__changes_nothing(world: World, flag: Flag, model: Any, role: str) -> None:
    client = signed_in(getattr(world, role))
    row = model._default_manager.first()
    before, events = rows(), AuditEvent.objects.count()

    for name in ("changelist", "add", "change", "delete", "history"):
        try:
            args = [] if name in {"changelist", "add"} else [row.pk if row else flag.pk]
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)
        except NoReverseMatch:
            continue
        forged = {**FORGED, "_selected_action": str(row.pk) if row else ""}
        response = client.post(address, forged)
        assert response.status_code in {200, 302, 400, 403, 404, 405}, (address, response.status_code)

    assert rows() == before
    assert AuditEvent.objects.count() == events


@pytest.mark.parametrize("model", GOVERNED, ids=lambda model: model.__name__)
def test_governed_admin__saving_and_deleting__raise(model: Any) -> None:
    page = admin.site._registry[model]

    for method in ("save_model", "delete_model", "delete_queryset", "save_formset", "save_related"):
        with pytest.raises(PermissionDenied):
            getattr(page, method)(None, None, None, None)


def test_site__pages_of_other_packages__do_not_exist() -> None:
    registered = {model._meta.app_label for model in admin.site._registry}

    assert registered <= {"audits", "flags", "rollouts", "flagsite"}
    assert Group not in admin.site._registry
    assert "delete_selected" not in [name for name, _ in admin.site.actions]


def test_history__anything_but_reading__is_refused(world: World, flag: Flag) -> None:
    client = signed_in(world.ada)
    address = reverse("admin:flags_flag_history", args=[flag.pk])

    assert client.get(address).status_code == 302
    for method in ("post", "put", "patch", "delete"):
        assert getattr(client, method)(address).status_code == 405
