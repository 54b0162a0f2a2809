"""The people of the demo. Their passwords are public, which is why demo mode binds to loopback."""

from dataclasses import dataclass, field

from flags.permissions import Role

ALL = ("development", "staging", "production")


@dataclass(frozen=True, slots=True)
class Member:
    """One demo account: `roles` holds per environment key, `job` what the launcher prints."""

    username: str
    first_name: str
    last_name: str
    job: str
    roles: dict[str, tuple[Role, ...]] = field(default_factory=dict)
    is_superuser: bool = False

    @property
    def password(self) -> str:
        """The password, derived from the name so that people remember it."""
        return f"demo-{self.username}"


CAST = (
    Member("mira", "Mira", "Novak", "product manager", dict.fromkeys(ALL, (Role.EDITOR,))),
    Member("ben", "Ben", "Okafor", "approver", dict.fromkeys(ALL, (Role.APPROVER,))),
    Member("nora", "Nora", "Kim", "approver", dict.fromkeys(ALL, (Role.EDITOR, Role.APPROVER))),
    Member(
        "rosa",
        "Rosa",
        "Lind",
        "release manager",
        dict.fromkeys(ALL, (Role.EDITOR, Role.RELEASE_MANAGER, Role.BREAK_GLASS)),
    ),
    Member("vic", "Vic", "Moreau", "auditor", dict.fromkeys(ALL, (Role.VIEWER,))),
    Member("ada", "Ada", "Winter", "administrator", dict.fromkeys(ALL, (Role.ADMINISTRATOR,)), is_superuser=True),
    Member("omar", "Omar", "Haddad", "second administrator", dict.fromkeys(ALL, (Role.ADMINISTRATOR,))),
)
