"""How a service identifies itself to the management API. Costs no query: tokens are in the process's snapshot store.

Named in the settings, so this module must not import views: REST framework reads its settings while it imports them.
"""

from typing import ClassVar

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from flags import snapshots
from flags.api.tokens import TOKEN_REQUIRED, presented_secret
from flags.models.tokens import TokenScope
from flags.snapshots import SnapshotsUnavailable, TokenFacts


class ServiceAccount:
    """The user of a request made with a token: somebody who is authenticated and no person.

    `pk` is the token's id. It must not be None: a filter for the grants of None finds environments without grants.
    """

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False
    is_superuser: ClassVar[bool] = False

    def __init__(self, token: TokenFacts) -> None:
        self.pk = token.id
        self.token = token

    def __str__(self) -> str:
        return self.token.name

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Never: what a token may do is its scope."""
        return False


class NotLoadedYet(APIException):
    """Tokens cannot be checked because this process has not read them yet."""

    status_code = 503
    wait = 1
    default_detail = "This process has not been able to read the tokens since it started. Try again in a moment."
    default_code = "snapshots_unavailable"


def accepted_scope(request: Request) -> str:
    """The scope of tokens that the view of a request accepts; exactly one, so that no token grows by accident."""
    view = (request.parser_context or {}).get("view")
    return str(getattr(view, "token_scope", TokenScope.AUDIT.value))


class TokenAuthentication(BaseAuthentication):
    """`X-API-Key` or `Authorization: Bearer` with a token of the scope that the view names, “audit” unless it does.

    A view names it as `token_scope`. `request.auth` is the token's TokenFacts.
    """

    def authenticate(self, request: Request) -> tuple[ServiceAccount, TokenFacts] | None:
        """The service and its token; None where no token is presented, so that a session may speak."""
        api_key, authorization = request.META.get("HTTP_X_API_KEY", ""), request.META.get("HTTP_AUTHORIZATION", "")
        if not (api_key.strip() or authorization.strip()):
            return None
        secret = presented_secret(api_key, authorization)
        try:
            token = snapshots.store.token(secret, now=timezone.now()) if secret else None
        except SnapshotsUnavailable:
            raise NotLoadedYet from None
        if token is None:
            raise AuthenticationFailed(TOKEN_REQUIRED, "token_required")
        wanted = accepted_scope(request)
        if token.scope != wanted:
            raise PermissionDenied(f"This token may not do this. Use one with the scope “{wanted}”.", "wrong_scope")
        return ServiceAccount(token), token

    def authenticate_header(self, request: Request) -> str:
        """What 401 answers name."""
        return 'Bearer realm="flagsite"'
