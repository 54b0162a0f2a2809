"""Service tokens in the management API."""

import uuid
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.exceptions import APIException, PermissionDenied
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from flags import snapshots
from flags.api.authentication import ServiceAccount, TokenAuthentication
from flags.models.tokens import TokenScope
from flags.permissions import visible_environments
from flags.snapshots import SnapshotStore
from tests.flags.api.plane import FakeSource

AUDIT, EVALUATE, EXPIRED = "fsa_audit", "fse_evaluate", "fsa_expired"


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    """A store with a token of each kind, in the place of the process's own."""
    source = FakeSource()
    environment_id = source.add_environment({})
    source.add_token(environment_id, AUDIT, scope="audit")
    source.add_token(environment_id, EVALUATE)
    source.add_token(environment_id, EXPIRED, scope="audit", expires_at=timezone.now() - timedelta(seconds=1))
    monkeypatch.setattr(snapshots, "store", SnapshotStore(source))
    return source


def authenticate(**headers: str) -> Any:
    request = APIRequestFactory().get("/api/v1/audit-events", **headers)  # type: ignore[arg-type]
    return TokenAuthentication().authenticate(Request(request))


@pytest.mark.parametrize("headers", [{"HTTP_X_API_KEY": AUDIT}, {"HTTP_AUTHORIZATION": f"Bearer {AUDIT}"}])
def test_authenticate__audit_token__is_the_service(headers: dict[str, str], source: FakeSource):
    user, token = authenticate(**headers)

    assert user.is_authenticated
    assert user.pk == token.id
    assert (token.scope, token.environment_key) == ("audit", "production")


@pytest.mark.parametrize("headers", [{}, {"HTTP_X_API_KEY": "  "}, {"HTTP_AUTHORIZATION": ""}])
def test_authenticate__no_token__leaves_it_to_the_session(headers: dict[str, str], source: FakeSource):
    assert authenticate(**headers) is None


@pytest.mark.parametrize(
    ("secret", "status"),
    [(EVALUATE, 403), (EXPIRED, 401), ("fsa_unknown", 401), ("ÿ", 401), ("x" * 9_999, 401), (AUDIT.upper(), 401)],
)
def test_authenticate__unusable_token__is_refused(secret: str, status: int, source: FakeSource):
    with pytest.raises(APIException) as caught:
        authenticate(HTTP_X_API_KEY=secret)

    assert caught.value.status_code == status
    assert secret not in str(caught.value.detail)


def test_authenticate__other_scheme__is_refused_and_not_passed_on(source: FakeSource):
    with pytest.raises(APIException) as caught:
        authenticate(HTTP_AUTHORIZATION="Basic dTpw")

    assert caught.value.status_code == 401


@pytest.mark.parametrize("scope", TokenScope.values)
@pytest.mark.parametrize("accepted", [*TokenScope.values, None])
def test_authenticate__view_names_its_scope__takes_that_one_alone(
    scope: str, accepted: str | None, source: FakeSource, monkeypatch: pytest.MonkeyPatch
):
    fresh = FakeSource()
    fresh.add_token(fresh.add_environment({}), "fs_secret", scope=scope)
    monkeypatch.setattr(snapshots, "store", SnapshotStore(fresh))
    view = SimpleNamespace(**({"token_scope": accepted} if accepted else {}))
    factory = APIRequestFactory().get("/api/v1/anything", headers={"X-API-Key": "fs_secret"})
    request = Request(factory, parser_context={"view": view})

    if scope == (accepted or "audit"):
        authenticated = TokenAuthentication().authenticate(request)
        assert authenticated is not None
        assert authenticated[1].scope == scope
    else:
        with pytest.raises(PermissionDenied, match=f"“{accepted or 'audit'}”"):
            TokenAuthentication().authenticate(request)


def test_authenticate__nothing_loaded__is_unavailable(source: FakeSource):
    source.fails = ConnectionError("gone")

    with pytest.raises(APIException) as caught:
        authenticate(HTTP_X_API_KEY=AUDIT)

    assert caught.value.status_code == 503


def test_authenticate__takes_no_query(source: FakeSource, db: None, django_assert_num_queries: Any):
    with django_assert_num_queries(0):
        assert authenticate(HTTP_X_API_KEY=AUDIT)


@pytest.mark.django_db
def test_service_account__as_a_person__sees_and_may_nothing(source: FakeSource):
    from tests.factories import make_world

    world = make_world()
    account, _ = authenticate(HTTP_X_API_KEY=AUDIT)

    assert isinstance(account, ServiceAccount)
    assert isinstance(account.pk, uuid.UUID)
    assert not visible_environments(account).exists()  # type: ignore[arg-type]
    assert not account.has_perm("flags.view_environment", world.production)
    assert str(account) == "Shop"
