"""What happened in the demo organisation: all through the services, so the trail and the history are real."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model

from audits.context import Actor, correlation
from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.models import Environment, Flag, FlagConfig, Project
from flags.services.attributes import declare_attribute
from flags.services.configs import edit_config, edit_segment
from flags.services.flags import create_flag
from flags.services.projects import create_environment, create_project
from flags.services.roles import set_roles
from flagsite.demo.access import tell_access
from flagsite.demo.calendar import tell_calendar
from flagsite.demo.cast import ALL, CAST
from flagsite.demo.catalogue import ATTRIBUTES, FLAGS, SEGMENTS, DemoFlag, share, split
from flagsite.demo.drills import tell_drills
from flagsite.demo.emergencies import tell_emergencies
from flagsite.demo.endings import introduce_old_flags, tell_endings
from flagsite.demo.impact import tell_impacts
from flagsite.demo.promotions import tell_promotions
from flagsite.demo.reviews import tell_reviews
from flagsite.demo.rollouts import tell_rollouts
from flagsite.demo.rules import tell_rules
from rollouts.models import ChangeRequest
from rollouts.services.change_requests import (
    approve_change_request,
    comment_on_change_request,
    create_change_request,
    reject_change_request,
    submit_change_request,
)
from rollouts.services.policies import set_approval_policy

PROJECTS = {"storefront": "Storefront", "support-tools": "Support tools"}


@dataclass
class Story:
    """Tells the story day by day; `now` is the instant the demo is loaded."""

    now: datetime

    def tell(self) -> None:
        """Everything, oldest first."""
        self.people = {member.username: _person(member) for member in CAST}
        with correlation():
            self._found(self.now - timedelta(days=180))
        for number, flag in enumerate(FLAGS):
            with correlation():
                self.introduce(flag, self.now - timedelta(days=28) + timedelta(hours=9 * number))
        introduce_old_flags(self)
        self._past()
        tell_rules(self)
        self._present()
        tell_reviews(self)
        tell_emergencies(self)
        tell_impacts(self)
        tell_drills(self)
        tell_calendar(self)
        tell_access(self)
        tell_promotions(self)
        tell_rollouts(self)
        tell_endings(self)

    def actor(self, username: str) -> Actor:
        """One of the cast, acting in the admin."""
        return Actor.person(self.people[username], via="admin")

    def environment(self, project: str, key: str) -> Environment:
        """An environment by its keys."""
        return Environment.objects.get(project__key=project, key=key)

    def _found(self, at: datetime) -> None:
        for project_key, name in PROJECTS.items():
            project = create_project(actor=self.actor("ada"), key=project_key, name=name, now=at)
            for position, key in enumerate(ALL):
                environment = create_environment(
                    project.pk,
                    actor=self.actor("ada"),
                    key=key,
                    name=key.capitalize(),
                    kind=key,
                    is_protected=key == "production",
                    position=position,
                    now=at,
                )
                self._grant(environment, at)
            self._policy(self.environment(project_key, "production"), at)
            self._attributes(project_key, at)
            self._segments(project_key, at)

    def _attributes(self, project_key: str, at: datetime) -> None:
        project = Project.objects.get(key=project_key)
        for attribute in ATTRIBUTES[project_key]:
            declare_attribute(
                project.pk,
                actor=self.actor("ada"),
                name=attribute.name,
                value_type=attribute.value_type,
                description=attribute.description,
                grants_access=attribute.grants_access,
                now=at,
            )

    def _grant(self, environment: Environment, at: datetime) -> None:
        for member in CAST:
            set_roles(
                self.people[member.username].pk,
                environment.pk,
                roles=member.roles.get(environment.key, ()),
                actor=self.actor("ada"),
                now=at,
                reason=f"{member.first_name} works as {member.job}",
            )

    def _policy(self, production: Environment, at: datetime) -> None:
        set_approval_policy(
            production.pk,
            actor=self.actor("ada"),
            required_approvals=1,
            named_approvers=[],
            expires_after_hours=336,
            now=at,
            reason="One colleague looks at every change to production",
        )

    def _segments(self, project_key: str, at: datetime) -> None:
        for key in ALL:
            environment = self.environment(project_key, key)
            edits = tuple(
                SegmentEdit(
                    segment_key=segment, name=name, base_version=0, document={"schema": 1, "condition": condition}
                )
                for segment, (name, condition) in SEGMENTS[project_key].items()
            )
            if environment.is_protected:
                self._approved(environment, edits, "Set up the first segments", "Marketing asked for them", at)
                continue
            for edit in edits:
                edit_segment(
                    environment.pk,
                    actor=self.actor("nora"),
                    key=edit.segment_key,
                    name=edit.name,
                    document=edit.document,
                    base_version=0,
                    reason="First segments",
                    now=at,
                )

    def introduce(self, demo: DemoFlag, at: datetime) -> None:
        """A flag, served in one environment after the other, a day each."""
        project = Project.objects.get(key=demo.project)
        flag = create_flag(
            project.pk,
            actor=self.actor("mira"),
            key=demo.key,
            name=demo.name,
            kind=demo.kind,
            value_type=demo.value_type,
            variants=demo.variant_list(),
            description=demo.description,
            owner_id=self.people[demo.owner].pk,
            tags=demo.tags,
            now=at,
        )
        for step, key in enumerate(ALL, start=1):
            if key in demo.serves:
                document = demo.document(now=self.now, **demo.serves[key])
                self._serve(flag, self.environment(demo.project, key), document, at + timedelta(days=step))

    def _serve(self, flag: Flag, environment: Environment, document: dict[str, Any], at: datetime) -> None:
        edit = self._edit(flag, environment, document)
        if environment.is_protected:
            title = f"Start {flag.name}"
            self._approved(environment, (edit,), title, "Staging looked good for two days", at)
            return
        edit_config(
            flag.pk,
            environment.pk,
            actor=self.actor("mira"),
            document=edit.document,
            base_version=edit.base_version,
            reason="Try it out",
            now=at,
        )

    def _edit(self, flag: Flag, environment: Environment, document: dict[str, Any]) -> ConfigEdit:
        config = FlagConfig.objects.filter(flag=flag, environment=environment).first()
        return ConfigEdit(flag_key=flag.key, base_version=config.version if config else 0, document=document)

    def _request(
        self,
        environment: Environment,
        edits: tuple[ConfigEdit | SegmentEdit, ...],
        title: str,
        reason: str,
        at: datetime,
        *,
        requester: str = "mira",
        apply_at: datetime | None = None,
    ) -> ChangeRequest:
        request = create_change_request(
            environment.pk,
            actor=self.actor(requester),
            title=title,
            reason=reason,
            change_set=ChangeSet(environment_id=str(environment.pk), edits=edits),
            apply_at=apply_at,
            now=at,
        )
        return submit_change_request(request.pk, actor=self.actor(requester), now=at + timedelta(minutes=3))

    def _approved(
        self,
        environment: Environment,
        edits: tuple[ConfigEdit | SegmentEdit, ...],
        title: str,
        reason: str,
        at: datetime,
        *,
        comment: str = "",
        apply_at: datetime | None = None,
    ) -> None:
        with correlation():
            request = self._request(environment, edits, title, reason, at, apply_at=apply_at)
        with correlation():
            approve_change_request(
                request.pk,
                actor=self.actor("ben"),
                digest=request.digest,
                comment=comment,
                now=at + timedelta(minutes=40),
            )

    def _config(self, project: str, key: str) -> tuple[Flag, Environment, dict[str, Any]]:
        flag, environment = Flag.objects.get(project__key=project, key=key), self.environment(project, "production")
        return flag, environment, FlagConfig.objects.get(flag=flag, environment=environment).document

    def _past(self) -> None:
        """A rejected request and a second version, so that history has something to compare."""
        flag, production, document = self._config("storefront", "loyalty-points")
        at = self.now - timedelta(days=6)
        with correlation():
            edit = self._edit(flag, production, {**document, **share(100)})
            request = self._request(production, (edit,), "Loyalty points for everyone", "The campaign starts", at)
        with correlation():
            reject_change_request(
                request.pk,
                actor=self.actor("ben"),
                now=at + timedelta(hours=2),
                reason="From 20 % straight to everyone is too much at once. Please go to 50 % first.",
            )
        flag, production, document = self._config("storefront", "hero-banner")
        edit = self._edit(flag, production, {**document, **share(60, "summer", "plain")})
        self._approved(
            production,
            (edit,),
            "Summer banner to 60 %",
            "Click rate is up by a fifth",
            self.now - timedelta(days=3),
            comment="Numbers look sound.",
        )

    def _present(self) -> None:
        """A request that waits for an approver, one that is approved for tomorrow, and a draft."""
        flag, production, document = self._config("storefront", "loyalty-points")
        with correlation():
            edit = self._edit(flag, production, {**document, **share(50)})
            request = self._request(
                production,
                (edit,),
                "Loyalty points to 50 %",
                "Two quiet weeks at 20 %, support agrees",
                self.now - timedelta(hours=26),
            )
            comment_on_change_request(
                request.pk,
                actor=self.actor("rosa"),
                body="Fine with me. Tuesday is a good day for it.",
                now=self.now - timedelta(hours=20),
            )
        flag, production, document = self._config("storefront", "search-ranking")
        rules = [*document["rules"][:-1], {**document["rules"][-1], "serve": split("semantic", 25, "classic")}]
        tomorrow = (self.now + timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0)
        self._approved(
            production,
            (self._edit(flag, production, {**document, "rules": rules}),),
            "Semantic search to 25 %",
            "The experiment needs more traffic to be decided this month",
            self.now - timedelta(hours=5),
            comment="Go ahead, I am on call tomorrow.",
            apply_at=tomorrow,
        )
        self._draft()

    def _draft(self) -> None:
        flag = Flag.objects.get(project__key="storefront", key="new-onboarding")
        production = self.environment("storefront", "production")
        demo = next(item for item in FLAGS if item.key == flag.key)
        edit = self._edit(flag, production, demo.document(now=self.now, **share(1)))
        with correlation():
            create_change_request(
                production.pk,
                actor=self.actor("mira"),
                title="First 1 % of new onboarding",
                reason="",
                change_set=ChangeSet(environment_id=str(production.pk), edits=(edit,)),
                apply_at=None,
                now=self.now - timedelta(hours=2),
            )


def _person(member: Any) -> Any:
    people = get_user_model().objects
    person = people.model(
        username=member.username,
        first_name=member.first_name,
        last_name=member.last_name,
        email=f"{member.username}@storefront.example",
        is_staff=True,
        is_superuser=member.is_superuser,
    )
    person.set_password(member.password)
    person.save()
    return person
