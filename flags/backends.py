"""What `user.has_perm(permission, environment)` answers: the same as our own questions, by the clock."""

from typing import Any

from guardian.backends import ObjectPermissionBackend

from flags import permissions
from flags.models import Environment


class LivingGrantsBackend(ObjectPermissionBackend):
    """guardian's backend, but a grant that has ended gives nothing, and nothing but grants to the person counts."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Whether the person holds the permission in the environment, now."""
        if isinstance(obj, Environment):
            return permissions.user_holds(user_obj, perm, obj)
        return bool(super().has_perm(user_obj, perm, obj))

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Every permission the person holds on the object, now."""
        if isinstance(obj, Environment):
            return {name for name in permissions.PERMISSION_ROLE if permissions.user_holds(user_obj, name, obj)}
        return set(super().get_all_permissions(user_obj, obj))
