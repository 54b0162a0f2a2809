"""Short ways for tests to use the admin as a person would."""

from typing import Any

from django.test import Client

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7*7 }}'


def signed_in(person: Any) -> Client:
    """A client signed in as a person."""
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def text_of(response: Any) -> str:
    """The page as text."""
    return str(response.content.decode())
