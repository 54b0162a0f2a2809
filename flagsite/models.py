"""People. The model lives in the composition root; apps refer to it as `settings.AUTH_USER_MODEL`."""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person who signs in. Keys are UUIDs so that no right can outlive its holder through a reused number."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)

    class Meta(AbstractUser.Meta):
        pass
