"""Where a client may put its token. Pure."""

MAX_SECRET_CHARACTERS = 200
WAYS_TO_SEND = "Send one as X-API-Key or Authorization: Bearer; administrators issue them."
# Missing, unknown, expired and revoked ones get the same words.
TOKEN_REQUIRED = f"No valid token was sent. {WAYS_TO_SEND}"


def presented_secret(api_key: str, authorization: str) -> str:
    """The secret a client sent, in `X-API-Key` or else as `Authorization: Bearer`; "" without a usable one."""
    secret = api_key.strip()
    if not secret:
        scheme, _, credentials = authorization.strip().partition(" ")
        secret = credentials.strip() if scheme.lower() == "bearer" else ""
    return secret if len(secret) <= MAX_SECRET_CHARACTERS else ""
