"""The world tests start from, built through the services a person's clicks would reach.

The cast: Rita asks (requester), Abel and Anna approve (approvers), Otto has no role (outsider), Vera may only look
(viewer), Rolf applies (release manager), Ada administers and is a superuser.
"""

import itertools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from audits.context import Actor
from flags.authority import ApprovedChange
from flags.changes import ChangeSet, ConfigEdit, change_digest
from flags.documents import initial_document
from flags.models import Environment, EnvironmentUserGrant, Flag, FlagConfig, Project, RoleGrant
from flags.permissions import ROLE_PERMISSION, VIEW, Role
from flags.services.configs import AppliedChange, apply_change_set
from flags.services.flags import create_flag
from flags.services.projects import create_environment, create_project
from flags.services.roles import set_roles
from flags.services.tickets import governed_write
from tests.support.remembered import remembered

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SOON = NOW + timedelta(hours=1)
_numbers = itertools.count(1)


def make_person(name: str, *, is_superuser: bool = False) -> Any:
    """A person who can sign in to the admin; the password equals the user name."""
    username = f"{name}-{next(_numbers)}"
    people = get_user_model().objects
    person = people.model(
        username=username,
        first_name=name.capitalize(),
        last_name="Test",
        email=f"{username}@example.test",
        is_staff=True,
        is_superuser=is_superuser,
        date_joined=NOW,
    )
    person.set_password(username)
    person.save()
    return person


def actor_of(person: Any, via: str = "test") -> Actor:
    """The actor for a person of the cast."""
    return Actor.person(person, via=via)


@dataclass
class World:
    """One project with its environments and cast."""

    project: Project
    development: Environment
    staging: Environment
    production: Environment
    ada: Any
    rita: Any
    abel: Any
    anna: Any
    rolf: Any
    vera: Any
    otto: Any
    flags: dict[str, Flag] = field(default_factory=dict)

    @property
    def first_flag(self) -> Flag:
        """The flag a served world starts with."""
        return self.flags["checkout-redesign"]

    @property
    def environments(self) -> tuple[Environment, ...]:
        """All three, development first."""
        return (self.development, self.staging, self.production)

    def grant(self, person: Any, environment: Environment, *roles: Role) -> None:
        """Give a person exactly these roles in an environment."""
        set_roles(person.pk, environment.pk, roles=roles, actor=actor_of(self.ada), now=NOW, reason="Test")

    def flag(self, key: str = "checkout-redesign", *, value_type: str = "boolean", **fields: Any) -> Flag:
        """A flag made by Rita, set up in the unprotected environments."""
        flag = create_flag(
            self.project.pk,
            actor=actor_of(self.rita),
            key=key,
            name=fields.pop("name", key.replace("-", " ").capitalize()),
            kind=fields.pop("kind", "release"),
            value_type=value_type,
            now=NOW,
            **fields,
        )
        self.flags[key] = flag
        return flag

    def serve(self, flag: Flag, environment: Environment, document: Mapping[str, Any] | None = None) -> AppliedChange:
        """Make `document` the next version of the flag's config, with the approvals a protected environment asks for.

        Without a document the flag serves its default variant. The approval itself is what tests of rollouts are about.
        """
        config = FlagConfig.objects.filter(flag=flag, environment=environment).first()
        document = dict(document or {**initial_document(flag.key, flag.value_type), "enabled": True})
        edit = ConfigEdit(flag_key=flag.key, base_version=config.version if config else 0, document=document)
        change_set = ChangeSet(environment_id=str(environment.pk), edits=(edit,))
        authority = ApprovedChange(
            request_id=str(uuid.uuid4()),
            digest=change_digest(change_set, apply_at=None),
            content_digest=change_digest(change_set, apply_at=None),
            approver_ids=(str(self.abel.pk),),
            required_approvals=1,
        )
        return apply_change_set(
            change_set, actor=actor_of(self.rolf), authority=authority, now=NOW, reason="Set up for a test"
        )


def make_world(key: str = "") -> World:
    """A project with development and staging (open) and production (protected), and everybody in their roles."""
    return _make_world(key) if key else remembered("world", lambda: _make_world(f"shop-{next(_numbers)}"))


def make_served_world(share: int | None = None) -> World:
    """A world whose first flag production serves: to `share` percent, or its default variant to everyone."""
    return remembered(f"served world {share}", lambda: _make_served_world(share))


def _make_served_world(share: int | None) -> World:
    world = make_world()
    flag = world.flag()
    world.serve(flag, world.production, None if share is None else percent_document(flag.key, share))
    return world


def _make_world(key: str) -> World:
    ada = make_person("ada", is_superuser=True)
    admin = actor_of(ada)
    project = create_project(actor=admin, key=key, name=key.capitalize(), now=NOW)
    environments = [
        create_environment(
            project.pk,
            actor=admin,
            key=kind,
            name=kind.capitalize(),
            kind=kind,
            is_protected=kind == "production",
            position=position,
            now=NOW,
        )
        for position, kind in enumerate(("development", "staging", "production"))
    ]
    people = {name: make_person(name) for name in ("rita", "abel", "anna", "rolf", "vera", "otto")}
    development, staging, production = environments
    world = World(project, development, staging, production, ada=ada, **people)
    roles = {
        "rita": Role.EDITOR,
        "abel": Role.APPROVER,
        "anna": Role.APPROVER,
        "rolf": Role.RELEASE_MANAGER,
        "vera": Role.VIEWER,
    }
    _grant_all(environments, {people[name].pk: role for name, role in roles.items()})
    return world


def _grant_all(environments: list[Environment], roles: Mapping[Any, Role]) -> None:
    """What `set_roles` leaves behind, in few statements: nearly every test starts here."""
    permissions = {p.codename: p for p in Permission.objects.filter(content_type__app_label="flags")}
    for environment in environments:
        grants = [
            EnvironmentUserGrant(
                user_id=person, permission=permissions[name.removeprefix("flags.")], content_object=environment
            )
            for person, role in roles.items()
            for name in {ROLE_PERMISSION[role], VIEW}
        ]
        given = [
            RoleGrant(person_id=person, environment=environment, role=name, reason="Test", starts_at=NOW)
            for person, role in roles.items()
            for name in {role.value, Role.VIEWER.value}
        ]
        with governed_write(environment.pk):
            EnvironmentUserGrant.objects.bulk_create(grants)
            RoleGrant.objects.bulk_create(given)


def percent_document(flag_key: str, share: int, *, enabled: bool = True) -> dict[str, Any]:
    """A boolean flag that serves "on" to `share` percent of everyone."""
    weight = share * 1000
    split = [{"variant": "on", "weight": weight}, {"variant": "off", "weight": 100_000 - weight}]
    rule = {"id": "everyone", "description": "", "condition": None, "serve": {"split": split}}
    return {**initial_document(flag_key, "boolean"), "enabled": enabled, "rules": [rule]}
