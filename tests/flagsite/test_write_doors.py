"""The write-door matrix: whatever is sent to whatever door, a protected config does not move without its approvals.

Two approvals are required; every attempt is made by one person alone and taken back afterwards, so none is legitimate.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery import current_app
from django.apps import apps
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from audits.models import AuditEvent
from flags.changes import ChangeSet, ConfigEdit
from flags.guards import FLAGS_GUARDS
from flags.models import (
    CodeRepository,
    ContextAttribute,
    Environment,
    EnvironmentToken,
    Flag,
    FlagConfig,
    Segment,
    Tombstone,
)
from flags.permissions import Role
from flags.services.configs import edit_segment
from flags.services.retirement import note_archived
from flags.services.tokens import issue_token
from rollouts.deprecations.transitions import TimelineAct
from rollouts.guards import ROLLOUTS_GUARDS
from rollouts.manifest.writing import write_manifest
from rollouts.models import ApprovalPolicy, BundleMember, ChangeRequest, DeprecationTimeline, PolicyRule, RolloutPlan
from rollouts.plans.definition import MetricKind, PlanDefinition, Strategy
from rollouts.plans.strategies import custom
from rollouts.plans.templates import BUILT_IN
from rollouts.plans.trains import TrainAct
from rollouts.plans.transitions import PlanAct
from rollouts.selectors.manifests import present_state
from rollouts.services.bundles import create_bundle, submit_bundle
from rollouts.services.change_requests import create_change_request, submit_change_request
from rollouts.services.drills import DrillPlan, add_drill
from rollouts.services.guard_metrics import MetricFields, add_metric
from rollouts.services.incidents import open_incident
from rollouts.services.plans.acting import start_plan
from rollouts.services.plans.drafting import create_plan, propose_plan
from rollouts.services.plans.templates import save_template
from rollouts.services.policies import set_approval_policy
from rollouts.services.rules import set_rule
from rollouts.services.timelines.acting import start_timeline
from rollouts.services.timelines.drafting import create_timelines, propose_timeline
from rollouts.services.trains import Seat, create_train
from rollouts.transitions import Act
from tests.factories import NOW, World, actor_of, make_served_world, percent_document
from tests.flagsite.write_doors import Route, addresses, routes
from tests.rollouts.calendars import freeze
from tests.rollouts.rule_support import condition, rule
from tests.rollouts.timelines.support import definition_of as ending_of
from tests.support.remembered import remembered

pytestmark = pytest.mark.django_db

PEOPLE = {
    "nobody": "",
    "outsider": "otto",
    "viewer": "vera",
    "editor": "rita",
    "approver": "abel",
    "release_manager": "rolf",
    "administrator": "ada",
    "everything": "anna",
}
LIVE, WANTED = 5, 100
NO_POLICY = {"required_approvals": 1, "named_approvers": [], "expires_after_hours": 336}


@dataclass
class Doors:
    """The world the matrix knocks on."""

    world: World
    flag: Flag
    segment: Segment
    requests: dict[str, ChangeRequest]
    plans: list[RolloutPlan]
    timelines: list[DeprecationTimeline]
    tokens: dict[str, str]
    values: dict[str, list[str]]
    questions: list[tuple[str, Any]] = field(default_factory=list)
    before: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.questions = questions_about(self.world.production)
        self.before = self.digest()

    def client(self, role: str) -> Client:
        """A client signed in as somebody with this role."""
        client, person = Client(raise_request_exception=False), PEOPLE[role]
        if person:
            backend = "django.contrib.auth.backends.ModelBackend"
            client.force_login(getattr(self.world, person), backend=backend)
        return client

    def digest(self) -> list[tuple[Any, ...]]:
        """What production serves, in full, as the database holds it."""
        rows: list[tuple[Any, ...]] = []
        with connection.cursor() as cursor:
            for statement, values in self.questions:
                cursor.execute(statement, values)
                rows += cursor.fetchall()
        return rows


def questions_about(environment: Environment) -> list[tuple[str, Any]]:
    """The statements that read what an environment serves: asked after every attempt, so they are made once."""
    columns = ("pk", "digest", "version", "document")
    rows = (
        FlagConfig.objects.filter(environment=environment).order_by("pk").values_list(*columns),
        Segment.objects.filter(environment=environment).order_by("pk").values_list(*columns),
        Environment.objects.filter(pk=environment.pk).values_list("revision"),
    )
    return [found.query.sql_with_params() for found in rows]


def request_of(world: World, title: str, *, submitted: bool, now: Any = NOW) -> ChangeRequest:
    edit = ConfigEdit("checkout-redesign", 1, percent_document("checkout-redesign", WANTED))
    request = create_change_request(
        world.production.pk,
        actor=actor_of(world.rita),
        title=title,
        reason="More",
        change_set=ChangeSet(str(world.production.pk), (edit,)),
        apply_at=None,
        now=now,
    )
    return submit_change_request(request.pk, actor=actor_of(world.rita), now=now) if submitted else request


@pytest.fixture
def doors() -> Doors:
    return remembered("doors", _make_doors)


def _make_doors() -> Doors:
    world = make_served_world(LIVE)
    flag = world.first_flag
    set_approval_policy(
        world.production.pk,
        actor=actor_of(world.ada),
        required_approvals=2,
        named_approvers=[],
        expires_after_hours=336,
        now=NOW,
        reason="Two people look",
    )
    condition = {"schema": 1, "condition": {"attribute": "beta", "operator": "is_true", "value": None}}
    edit_segment(
        world.development.pk,
        actor=actor_of(world.rita),
        key="beta",
        name="Beta",
        document=condition,
        base_version=0,
        reason="",
        now=NOW,
    )
    world.grant(world.anna, world.production, *Role)
    ContextAttribute.objects.create(project=world.project, name="plan", value_type="text", created_at=NOW)
    now = timezone.now()
    requests = {
        "draft": request_of(world, "Draft", submitted=False, now=now),
        "in_review": request_of(world, "In review", submitted=True, now=now),
    }
    plans, timelines = _plans(world, now), _timelines(world, now)
    places = {"evaluate": world.production, "audit": world.production, "manage": world.production}
    tokens = {scope: _token(world, environment, scope) for scope, environment in places.items()}
    tokens["manage elsewhere"] = _token(world, world.staging, "manage")
    segment = Segment.objects.get(key="beta")
    values = _values(world, flag, segment, requests)
    values["plan_id"] = values["rollouts_plan"] = values["rollouts_rolloutplan"] = [str(plan.pk) for plan in plans]
    values["train_id"] = values["rollouts_train"] = values["rollouts_releasetrain"] = [_train(world, plans[0], now)]
    endings = [str(timeline.pk) for timeline in timelines]
    values["timeline_id"] = values["rollouts_timeline"] = values["rollouts_deprecationtimeline"] = endings
    return Doors(world, flag, segment, requests, plans, timelines, tokens, values)


def _token(world: World, environment: Environment, scope: str) -> str:
    facts: dict[str, Any] = {"name": scope, "scope": scope, "expires_at": None, "now": NOW}
    return issue_token(environment.pk, actor=actor_of(world.ada), **facts).secret


def _values(world: World, flag: Flag, segment: Segment, requests: dict[str, ChangeRequest]) -> dict[str, list[str]]:
    """What to try for each parameter of a route; `object_id` is a thing of the model that the route's name names."""
    request_ids = [str(request.pk) for request in requests.values()]
    token_id = str(EnvironmentToken.objects.values_list("pk", flat=True).first())
    both = [str(world.production.pk), str(world.development.pk)]
    return {
        "flags_flag": [str(flag.pk)],
        "flags_segment": [str(segment.pk)],
        "flags_environment": both[:1],
        "flags_environmenttoken": [token_id],
        "flags_project": [str(world.project.pk)],
        "flags_coderepository": [_repository(world)],
        "flags_tombstone": [_tombstone(world)],
        "flags_serviceowner": [str(uuid4())],
        "flags_contextattribute": [str(ContextAttribute.objects.values_list("pk", flat=True).first())],
        "flagsite_user": [str(world.rita.pk)],
        "rollouts_changerequest": request_ids,
        "rollouts_policyrule": [_rule(world)],
        "rollouts_rollbackdrill": [_drill(world, flag)],
        "rollouts_guardmetric": [_guard_metric(world)],
        "rollouts_approvalpolicy": [str(ApprovalPolicy.objects.get().pk), both[0]],
        "audits_auditevent": [str(AuditEvent.objects.values_list("pk", flat=True).first())],
        "rollouts_intendeddifference": [str(uuid4())],
        "flag_id": [str(flag.pk)],
        "environment_id": both,
        "segment_id": [str(segment.pk)],
        "request_id": request_ids,
        "run_id": [str(uuid4())],
        "other_id": request_ids,
        "incident_id": [_incident(world)],
        "rollouts_incident": [_incident(world)],
        "template_id": [_template(world)],
        "rollouts_calendarwindow": [str(freeze(world, environments=[world.staging]).pk)],
        "token_id": [token_id],
        "user_id": [str(world.rita.pk)],
        "project_id": [str(world.project.pk)],
        "bundle_id": [str(_bundle(world))],
        "act": [act.value for act in Act],
        "kind": ["release"],
        "flag_key": [flag.key],
        "flag": [flag.key],
        "key": [flag.key, world.project.key, world.production.key],
        "app_label": ["flags"],
        "content_type_id": ["1"],
        "url": ["x"],
        "version": ["1"],
    }


def _plans(world: World, now: Any) -> list[RolloutPlan]:
    """A draft and a proposed plan for production, and one that runs in staging."""
    rita = actor_of(world.rita)
    world.serve(world.flag("planned"), world.production)
    stages = custom("planned", variant="on", against="off", shares=[(WANTED * 500, 5), (WANTED * 1000, 5)])
    definition = PlanDefinition(("planned",), Strategy.CUSTOM, stages)
    told: dict[str, Any] = {"actor": rita, "now": now, "title": "Plan", "reason": "More", "definition": definition}
    draft, proposed = create_plan(world.production.pk, **told), create_plan(world.production.pk, **told)
    running = create_plan(world.staging.pk, **told)
    proposed = propose_plan(proposed.pk, actor=rita, now=now, digest=proposed.digest)
    return [draft, proposed, start_plan(running.pk, actor=rita, now=now, digest=running.digest)]


def _timelines(world: World, now: Any) -> list[DeprecationTimeline]:
    """A draft and a proposed timeline for production, each of its own flag, and one that runs in staging."""
    rita = actor_of(world.rita)
    told: dict[str, Any] = {"now": now, "reason": "Everybody has the new one"}
    places = {"drafted": world.production, "ended": world.production, "ending": world.staging}

    def drafted(key: str, place: Environment) -> DeprecationTimeline:
        flag = world.flag(key)
        world.serve(flag, world.production)
        [made] = create_timelines(flag.pk, [place.pk], ending_of(starts=now), actor=rita, **told)
        return made

    draft, proposed, running = (drafted(key, place) for key, place in places.items())
    proposed = propose_timeline(proposed.pk, actor=rita, now=now, digest=proposed.digest)
    return [draft, proposed, start_timeline(running.pk, actor=rita, now=now, digest=running.digest)]


def _train(world: World, plan: RolloutPlan, now: Any) -> str:
    """A train of a draft for production and one for staging."""
    rita, flag = actor_of(world.rita), world.first_flag.key
    stages = custom(flag, variant="on", against="off", shares=[(WANTED * 500, 5)])
    definition = PlanDefinition((flag,), Strategy.CUSTOM, stages)
    other = create_plan(world.staging.pk, actor=rita, now=now, title="Before", reason="", definition=definition)
    seats = [Seat(other.pk, 1), Seat(plan.pk)]
    return str(create_train(world.project.pk, seats, actor=rita, now=now, title="Together").pk)


def _rule(world: World) -> str:
    """A rule that is about staging only."""
    document = rule(conditions=(condition("environment_kind", kinds=["staging"]),)).as_json()
    set_rule(world.project.pk, key="staging", document=document, actor=actor_of(world.ada), reason="Test", now=NOW)
    return str(PolicyRule.objects.get().pk)


def _repository(world: World) -> str:
    """A repository that is scanned."""
    facts: dict[str, Any] = {"name": "shop", "default_branch": "main", "created_at": NOW}
    return str(CodeRepository.objects.create(project=world.project, **facts).pk)


def _tombstone(world: World) -> str:
    """The key of a flag that was archived before anything served it."""
    facts: dict[str, Any] = {"name": "Gone", "kind": "release", "value_type": "boolean", "created_at": NOW}
    gone = Flag.objects.create(project=world.project, key="gone", **facts)
    note_archived(gone, actor=actor_of(world.rita), now=NOW)
    return str(Tombstone.objects.get(flag=gone).pk)


def _guard_metric(world: World) -> str:
    """A metric that plans may be watched by."""
    fields = MetricFields(name="Errors", kind=MetricKind.ERROR_RATE)
    return str(add_metric(world.project.pk, "errors", fields, actor=actor_of(world.rita), now=NOW).pk)


def _incident(world: World) -> str:
    """One open incident in production."""
    incident = open_incident(
        world.project.pk,
        environment_id=world.production.pk,
        title="Checkout is down",
        severity="minor",
        link="",
        actor=actor_of(world.ada),
        now=NOW,
    )
    return str(incident.pk)


def _template(world: World) -> str:
    """A template of plans."""
    facts: dict[str, Any] = {"key": "careful", "name": "Careful", "definition": BUILT_IN[0].definition}
    return str(save_template(world.project.pk, actor=actor_of(world.rita), now=NOW, **facts).pk)


def _drill(world: World, flag: Flag) -> str:
    """A drill in production that is due."""
    plan = DrillPlan("Back", flag.pk, "instant", None, 1, limit_seconds=60, interval_days=1)
    return str(add_drill(world.production.pk, plan, actor=actor_of(world.rolf), now=timezone.now()).pk)


def _bundle(world: World) -> UUID:
    """A bundle in review for staging and production."""
    sets = {}
    for environment in (world.staging, world.production):
        version = FlagConfig.objects.get(flag=world.first_flag, environment=environment).version
        edit = ConfigEdit(world.first_flag.key, version, percent_document(world.first_flag.key, WANTED))
        sets[environment.pk] = ChangeSet(str(environment.pk), (edit,))
    rita, now = actor_of(world.rita), timezone.now()
    made = create_bundle(sets, actor=rita, title="Bundle", reason="More", apply_at=None, now=now)
    bundle_id = BundleMember.objects.get(request=made[0]).bundle_id
    submit_bundle(bundle_id, actor=rita, now=now)
    return bundle_id


def _url(name: str, parameters: dict[str, str]) -> str | None:
    try:
        return reverse(name, kwargs=parameters)
    except NoReverseMatch:
        return None


def forms(doors: Doors) -> list[dict[str, Any]]:
    """What a forged form would send: every field any of our forms or the stock admin knows."""
    wanted = json.dumps(percent_document(doors.flag.key, WANTED))
    base: dict[str, Any] = {
        "document": wanted,
        "base_version": "1",
        "version": "1",
        "name": "Forged",
        "key": "forged",
        "title": "Forged",
        "reason": "Forged",
        "comment": "Forged",
        "body": "Forged",
        "state": "approved",
        "required_approvals": "1",
        "expires_after_hours": "1",
        "roles": ["approver", "editor", "release_manager"],
        "is_protected": "",
        "environment": str(doors.world.production.pk),
        "flag": str(doors.flag.pk),
        "confirmation": "production",
        "confirm": "1",
        "step": "save",
        "apply_at": "",
        "when": "now",
        "scope": "evaluate",
        "_save": "Save",
        "_continue": "1",
        "_saveasnew": "1",
        "_popup": "1",
        "action": "delete_selected",
        "post": "yes",
        "_selected_action": [str(config.pk) for config in FlagConfig.objects.all()],
        "select_across": "1",
        "value_type": "text",
        "wanted": "strict",
        "seen": "1",
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "1",
        "form-0-id": str(doors.flag.pk),
        "form-0-document": wanted,
        "manifest": manifest_of(doors.world),
    }
    return [{**base, "digest": request.digest, "request": str(request.pk)} for request in doors.requests.values()]


def manifest_of(world: World) -> str:
    """The world as a manifest, in which production serves what nobody approved."""
    manifest: Any = present_state(world.project).manifest
    served = manifest["environments"]["production"]["flags"]["checkout-redesign"]
    served["config"] = percent_document("checkout-redesign", WANTED)
    return write_manifest(manifest)


def plan_forms(doors: Doors) -> list[dict[str, Any]]:
    """The same for pages of plans."""
    base = {**forms(doors)[-1], "to_stage": "0", "is_confirmed": "1", "strategy": "linear"}
    return [{**base, "digest": plan.digest, "sequence": str(plan.sequence)} for plan in doors.plans]


def timeline_forms(doors: Doors) -> list[dict[str, Any]]:
    """The same for pages of timelines."""
    base = {**forms(doors)[-1], "to_milestone": "0", "number": "1", "to": "2199-01-01T09:00"}
    return [{**base, "digest": one.digest, "sequence": str(one.sequence)} for one in doors.timelines]


def forged_body(doors: Doors) -> dict[str, Any]:
    """What a forged body of an API address would hold: every field that any of them knows."""
    return {
        "title": "Forged",
        "comment": "",
        "context": {"targetingKey": "x"},
        "document": percent_document(doors.flag.key, WANTED),
        "severity": "minor",
        "manifest": manifest_of(doors.world),
        "reason": "Forged",
        "version": 1,
    }


def bodies(doors: Doors, route: Route, base: dict[str, Any]) -> list[dict[str, Any]]:
    """The forged body for everything that the address may be about, as it was read."""
    if "timeline" not in route.name:
        return [{**base, "digest": request.digest} for request in doors.requests.values()]
    ways = {"to_milestone": 0, "number": 2, "to": "2198-01-01T09:00:00Z"}
    return [{**base, **ways, "digest": one.digest, "sequence": one.sequence} for one in doors.timelines]


def stale_forms(doors: Doors) -> list[dict[str, Any]]:
    """The same for the inbox of stale flags: all of its fields at once, about a flag that production serves."""
    fields = {"flag": str(doors.flag.pk), "how": "switch_off", "until": "2026-04-01", "starts_on": "2026-05-01"}
    return [{**forms(doors)[-1], **fields}]


def taken_back(attempt: Any) -> None:
    """Run an attempt in a transaction of its own and take it back, so that every attempt meets the same state."""
    with transaction.atomic():
        try:
            attempt()
        finally:
            transaction.set_rollback(True)


def knock(doors: Doors, client: Client, method: str, url: str, data: Any, **kind: str) -> int:
    """Send one request; answers its status. Fails when production moved, or when the server broke."""
    status = 0
    send = getattr(client, method)

    def attempt() -> None:
        nonlocal status
        status = send(url, data, **kind).status_code if data is not None else send(url).status_code
        assert doors.digest() == doors.before, f"{method} {url} changed production"

    taken_back(attempt)
    assert status < 500, f"{method} {url} answered {status}"
    return status


def all_urls(doors: Doors) -> Iterator[tuple[Route, str]]:
    """Every address of every route; `object_id` is filled with things of the route's own model."""
    for route in routes():
        if not route.name or route.name.endswith(":") or "(?P<path>" in route.pattern:
            continue
        things = route.name.removeprefix("admin:").rsplit("_", 1)[0]
        values = {**doors.values, "object_id": doors.values.get(things, doors.values["flags_flag"])}
        if "plan" in route.name:
            values["act"] = [act.value for act in PlanAct]
        if "timeline" in route.name:
            values["act"] = [act.value for act in TimelineAct]
        if "stale" in route.name:
            values["act"] = ["snooze", "wake", "clean_up", "plan_endings"]
        if "train" in route.name:
            values["act"] = [act.value for act in TrainAct]
        for url in addresses(route, values, _url):
            yield route, url


@pytest.mark.parametrize("role", ["nobody", "viewer", "everything"])
def test_every_route__get__leaves_production_alone(role, doors):
    client = doors.client(role)
    answers = [knock(doors, client, "get", url, None) for _, url in all_urls(doors)]

    assert len(answers) > 40, "The matrix has lost its routes."


@pytest.mark.parametrize("role", PEOPLE)
def test_every_route__forged_post__leaves_production_alone(role, doors):
    answers, client, sent = [], doors.client(role), forms(doors)
    endings = {"timeline": timeline_forms(doors), "stale": stale_forms(doors)}
    named = {"plan": plan_forms(doors), **endings, "changerequest": sent}
    for route, url in all_urls(doors):
        for form in next((found for name, found in named.items() if name in route.name), sent[-1:]):
            answers.append(knock(doors, client, "post", url, form))

    assert len(answers) > 40, "The matrix has lost its routes."


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_every_route__other_methods__leave_production_alone(method, doors):
    client = doors.client("everything")
    answers = [knock(doors, client, method, url, None) for _, url in all_urls(doors)]

    assert len(answers) > 40, "The matrix has lost its routes."


@pytest.mark.parametrize("scope", ["evaluate", "audit", "manage", "manage elsewhere", "nothing"])
def test_every_api_route__with_a_service_token__leaves_production_alone(scope, doors):
    client = Client(raise_request_exception=False, headers={"x-api-key": doors.tokens.get(scope, "fse_unknown")})
    forged = forged_body(doors)
    statuses: set[int] = set()
    for route, url in all_urls(doors):
        if "admin" in route.name or url.startswith("/admin"):
            continue
        for body in bodies(doors, route, forged):
            for method in ("post", "put", "patch", "delete"):
                response = getattr(client, method)(url, json.dumps(body), content_type="application/json")
                assert response.status_code < 500
                assert doors.digest() == doors.before
                statuses.add(response.status_code)
    # A service that may declare incidents in its own environment does so; what is served does not move by it.
    assert scope.startswith("manage") == bool({201, 202} & statuses)


@pytest.mark.parametrize(
    ("role", "taken"),
    [
        ("approver", set()),
        ("editor", {"timeline-propose", "timeline-pause", "timeline-postpone", "timeline-end"}),
        ("everything", {"timeline-propose", "timeline-recall", "timeline-end"}),
    ],
)
def test_every_api_route__forged_body_by_people__leaves_production_alone(role, taken, doors):
    client, done, forged = doors.client(role), set(), forged_body(doors)
    for route, url in all_urls(doors):
        if not url.startswith("/api/"):
            continue
        for body in bodies(doors, route, forged):
            status = knock(doors, client, "post", url, json.dumps(body), content_type="application/json")
            done |= {route.name} if status < 300 else set()

    # The control: what is sent is what these addresses take where this person may do it.
    assert {name for name in done if "timeline" in name} >= taken
    assert taken or not any("timeline" in name for name in done)


def own_tasks() -> list[str]:
    current_app.loader.import_default_modules()
    return sorted(name for name in current_app.tasks if not name.startswith("celery."))


def test_every_task__run_now_and_twice__leaves_production_alone(doors):
    assert {"rollouts.tasks.apply_due_changes", "rollouts.tasks.expire_old_requests"} <= set(own_tasks())
    before = doors.digest()
    for name in own_tasks():
        for arguments in ((), (), (str(doors.requests["in_review"].pk),)):
            try:
                current_app.tasks[name].apply(args=arguments, throw=True)
            except TypeError:
                assert arguments, f"{name} needs arguments: say here what to try."
            assert doors.digest() == before


# Commands that start servers or fill an empty database in demo mode; tests of their own run them.
STARTERS = {"demo", "load_demo", "stream"}
# Commands that find nothing to work on here, and end with a sentence about it.
FINDS_NOTHING = {"dry_run_plan", "replay_verdict", "restore_payloads", "simulate_traffic"}


def command_arguments(world: World, folder: Path) -> dict[str, list[str]]:
    """What to try with commands that need to be told something: as somebody who may do all but approve alone."""
    place = ["--project", world.project.key, "--environment", "production"]
    definition = folder / "flags.json"
    served = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    definition.write_text(json.dumps({"flags": {"checkout-redesign": served, "another": served}}))
    manifest = folder / "flags.yaml"
    manifest.write_text(manifest_of(world))
    applied = ["apply", "--file", str(manifest), "--as", world.anna.username, "--reason", "Forged"]
    return {
        "archive_payloads": ["--class", "versions", "--to", str(folder)],
        "dry_run_plan": ["999", "--project", world.project.key],
        "export_flagd": place,
        "import_flagd": [str(definition), *place, "--as", world.anna.username],
        "manifest": applied,
        "replay_verdict": [str(uuid4())],
        "restore_payloads": [str(definition)],
        "scan_code": [str(folder), "--project", world.project.key, "--branch", "main"],
        "simulate_traffic": ["--flag", "checkout-redesign", "--tokens", str(definition)],
        "verify_archive": [str(definition)],
    }


def test_every_command__run__leaves_production_alone(doors, tmp_path):
    arguments = command_arguments(doors.world, tmp_path)
    ours = {name for name, app in get_commands().items() if app in {"audits", "flags", "rollouts", "flagsite"}}
    before = doors.digest()
    for name in sorted(ours - STARTERS):
        load_command_class(get_commands()[name], name)
        expected = pytest.raises(CommandError) if name in FINDS_NOTHING else contextlib.suppress(SystemExit)
        with expected:
            call_command(name, *arguments.get(name, []))
        assert doors.digest() == before
    assert ChangeRequest.objects.filter(title__contains="flagd").count() == 1
    assert ChangeRequest.objects.filter(source__kind="manifest").count() == 1


def test_every_governed_model__bare_orm_update__is_refused(doors):
    models = {model._meta.db_table: model for model in apps.get_models()}
    tried = set()
    for table, guard in {**FLAGS_GUARDS, **ROLLOUTS_GUARDS}.items():
        rows = models[table]._base_manager.all()
        if "UPDATE" not in (*guard.ticketed, *guard.refused) or not rows.exists():
            continue
        column = next(field for field in models[table]._meta.fields if not field.primary_key)
        with pytest.raises(IntegrityError, match="flagsite"), transaction.atomic():
            rows.update(**{column.attname: rows.values_list(column.attname, flat=True)[0]})
        tried.add(table)
    assert len(tried) >= 15, f"The world of the matrix holds too little: {sorted(tried)}"


def test_request_marked_approved_by_hand__is_never_applied(doors):
    from flags.services.tickets import governed_write
    from rollouts.services.change_requests import apply_if_due

    request = doors.requests["in_review"]
    with pytest.raises(IntegrityError, match="flagsite"), transaction.atomic():
        ChangeRequest.objects.filter(pk=request.pk).update(state="approved")
    with transaction.atomic(), governed_write(doors.world.production.pk):
        ChangeRequest.objects.filter(pk=request.pk).update(state="approved", policy_snapshot=NO_POLICY)
    before = doors.digest()

    assert apply_if_due(request.pk, now=timezone.now()) is False
    assert doors.digest() == before


def test_matrix__the_same_forms_where_they_are_allowed__do_change_something(doors):
    """The control: what the matrix posts is what the pages take, so a refusal is not a mere misunderstanding."""
    world, request = doors.world, doors.requests["in_review"]
    form = next(form for form in forms(doors) if form["request"] == str(request.pk))
    development = FlagConfig.objects.get(flag=doors.flag, environment=world.development)
    before, requests = doors.digest(), ChangeRequest.objects.count()

    edit = reverse("admin:flags_config_edit", args=[doors.flag.pk, world.development.pk])
    doors.client("editor").post(edit, form)
    propose = reverse("admin:rollouts_changerequest_propose", args=[doors.flag.pk, world.production.pk])
    doors.client("editor").post(propose, form)
    approve = reverse("admin:rollouts_changerequest_act", args=[request.pk, "approve"])
    doors.client("approver").post(approve, form)
    after_one = doors.digest()
    doors.client("everything").post(approve, form)

    assert FlagConfig.objects.get(pk=development.pk).version == development.version + 1
    assert ChangeRequest.objects.count() == requests + 1
    assert after_one == before
    assert doors.digest() != before
