"""`manage.py manifest` and the API of manifests."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from flags.models import Environment, FlagConfig
from flags.services.tokens import issue_token
from flags.snapshots import store
from rollouts.api import manifests
from rollouts.manifest.writing import write_manifest
from rollouts.models import ChangeRequest
from rollouts.selectors.manifests import present_state
from rollouts.services.change_requests import approve_change_request, withdraw_change_request
from tests.factories import NOW, World, actor_of, percent_document
from tests.support.admin import signed_in

pytestmark = pytest.mark.django_db
KEY = "checkout-redesign"


@pytest.fixture
def world() -> World:
    from tests.factories import make_served_world

    return make_served_world()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "flags.yaml"


def text_of(world: World, **shares: int) -> str:
    """The world as a manifest in which environments serve the flag to so many percent."""
    manifest: Any = present_state(world.project).manifest
    for place, share in shares.items():
        manifest["environments"][place]["flags"][KEY] = {"config": percent_document(KEY, share)}
    return write_manifest(manifest)


def run(*arguments: object) -> tuple[int, str]:
    """What the command ends with and what it says."""
    out = io.StringIO()
    try:
        call_command("manifest", *map(str, arguments), stdout=out, stderr=out)
    except CommandError as error:
        return error.returncode, f"{out.getvalue()}{error}"
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def applied(world: World, file: Path, *more: object, by: str = "rita") -> tuple[int, str]:
    person = getattr(world, by).username
    return run("apply", "--file", file, "--as", person, "--reason", "As agreed", *more)


def test_export__validated_planned_and_applied__is_clean(world, file):
    file.write_text(run("export", "--project", world.project.key)[1])

    assert run("validate", "--file", file) == (0, "The manifest can be used.\n")
    assert run("plan", "--file", file, "--fail-on-drift") == (0, "Everything is as the manifest says.\n")
    assert applied(world, file)[0] == 0


def test_pending_flow__applied_again_and_again__ends_with_10_until_it_is_approved(world, file):
    file.write_text(text_of(world, production=25))

    codes = [applied(world, file)[0] for _ in range(2)]
    request = ChangeRequest.objects.get()
    _, said = applied(world, file)
    waited = json.loads(applied(world, file, "--json")[1])
    approve_change_request(
        request.pk, actor=actor_of(world.abel), digest=request.digest, comment="", now=request.created_at
    )

    assert codes == [10, 10]
    assert f"#{request.number} asks for it in Production." in said
    assert waited["outcomes"][0]["changeRequest"] == {"id": str(request.pk), "number": request.number}
    assert applied(world, file)[0] == 0
    assert run("plan", "--file", file, "--fail-on-drift")[0] == 0


def test_request_that_is_withdrawn__applied_again__asks_anew(world, file):
    file.write_text(text_of(world, production=25))
    applied(world, file)
    first = ChangeRequest.objects.get()
    withdraw_change_request(first.pk, actor=actor_of(world.rita), reason="No", now=first.created_at)

    assert applied(world, file)[0] == 10
    assert ChangeRequest.objects.count() == 2


def test_environment__chosen__is_the_only_one_that_moves(world, file):
    file.write_text(text_of(world, production=25, staging=25))

    assert applied(world, file, "--environment", "staging")[0] == 0
    assert not ChangeRequest.objects.exists()
    assert FlagConfig.objects.get(environment=world.staging).document["enabled"] is True


CODES = {
    "no file": (None, ("plan",), 2, "cannot be read"),
    "no YAML": ("a: [", ("validate",), 2, "no YAML"),
    "an unknown field": ("version: 1\nproject: {key: shop}\nflagz: 1\n", ("validate",), 2, "line 3, column 1: flagz"),
    "another project": ("version: 1\nproject: {key: shop}\n", ("plan", "--project", "else"), 2, "and not of"),
    "no such project": ("version: 1\nproject: {key: nowhere}\n", ("plan",), 2, "no project"),
    "nobody named": ("version: 1\nproject: {key: shop}\n", ("apply",), 2, "Say with --as"),
}


@pytest.mark.parametrize("name", CODES)
def test_command__that_cannot_go_on__ends_with_its_code(name, world, file):
    text, arguments, code, words = CODES[name]
    if text is not None:
        file.write_text(text)

    ended, said = run(*arguments, "--file", file)

    assert (ended, words in said) == (code, True)


@pytest.mark.parametrize("act", ["plan", "apply"])
def test_command__as_somebody_who_is_not_there__names_them(act, world, file):
    file.write_text(text_of(world, staging=25))

    ended, said = run(act, "--file", file, "--as", "nobody", "--reason", "Because")

    assert (ended, said.strip()) == (2, "There is no active person “nobody”. Check the user name.")


def test_apply__without_a_reason__ends_with_2_and_does_nothing(world, file):
    file.write_text(text_of(world, staging=25))

    ended, said = run("apply", "--file", file, "--as", world.rita.username)

    assert (ended, "--reason" in said) == (2, True)
    assert FlagConfig.objects.get(environment=world.staging).version == 1


def test_drift__asked_for__ends_with_4(world, file):
    file.write_text(text_of(world, staging=25))

    assert run("plan", "--file", file)[0] == 0
    code, said = run("plan", "--file", file, "--fail-on-drift")
    assert (code, "environments.staging.flags.checkout-redesign.config" in said) == (4, True)


def test_refused_part__applied__ends_with_3(world, file):
    file.write_text(text_of(world, staging=25))

    assert applied(world, file, by="vera")[0] == 3


def address(world: World, name: str) -> str:
    return reverse(name, args=[world.project.key])


def sent(client: Client, url: str, **body: Any) -> Any:
    return client.post(url, json.dumps(body), content_type="application/json")


def token_client(world: World, place: Environment, scope: str = "manage") -> Client:
    issued = issue_token(place.pk, actor=actor_of(world.ada), name="CI", scope=scope, expires_at=None, now=NOW)
    store.reset()
    store.refresh()
    return Client(headers={"x-api-key": issued.secret})


def test_token__reads_and_plans_its_environment__and_applies_nothing(world):
    client = token_client(world, world.staging)
    text = text_of(world, staging=25, production=25)

    read = client.get(address(world, "manifest"))
    plan = sent(client, address(world, "manifest-plan"), manifest=text)
    apply = sent(client, address(world, "manifest-apply"), manifest=text, reason="CI")

    assert read.status_code == 200
    assert "  staging:" in read.json()["manifest"]
    assert "  production:" not in read.json()["manifest"]
    assert [step["environment"] for step in plan.json()["steps"]] == ["staging"]
    assert (apply.status_code, ChangeRequest.objects.count()) == (403, 0)


def test_person__applies_by_api__and_gets_the_same_request_again(world):
    client, text = signed_in(world.rita), text_of(world, production=25)

    answers = [sent(client, address(world, "manifest-apply"), manifest=text, reason="As agreed") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["state"] == "pending"


REFUSED = {
    "no body": ({}, 400, "invalid_input"),
    "no YAML": ({"manifest": "a: ["}, 422, "invalid_manifest"),
    "an unknown field": ({"manifest": "version: 1\nproject: {key: shop}\nflagz: 1\n"}, 422, "invalid_manifest"),
    "another project": ({"manifest": "version: 1\nproject: {key: elsewhere}\n"}, 400, "invalid_input"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_body_that_cannot_be_used__planned__is_a_problem_with_lines(name, world):
    body, status, code = REFUSED[name]

    answer = sent(signed_in(world.rita), address(world, "manifest-plan"), **body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if status == 422:
        assert answer.json()["problems"][0]["line"] >= 1


UNKNOWN = {
    "a mistyped field": ({"environment": ["staging"]}, "", "environment"),
    "a parameter": ({}, "?environments=staging", "environments"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known__applied__is_refused_and_nothing_happens(name, world):
    body, query, path = UNKNOWN[name]
    text = text_of(world, production=25)

    url = f"{address(world, 'manifest-apply')}{query}"
    answer = sent(signed_in(world.rita), url, manifest=text, reason="As agreed", **body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert answer.json()["problems"][0]["path"] == path
    assert not ChangeRequest.objects.exists()


def test_body_larger_than_any_that_is_read__planned__is_413(world):
    answer = sent(signed_in(world.rita), address(world, "manifest-plan"), manifest="#" * 2_600_000)

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_manifest_of_too_many_values__planned__is_refused_at_its_line(world, monkeypatch):
    monkeypatch.setattr(manifests, "MOST_VALUES", 100)

    answer = sent(signed_in(world.rita), address(world, "manifest-plan"), manifest=text_of(world))

    assert (answer.status_code, "more than 100 values" in answer.json()["detail"]) == (422, True)


def test_project_of_others__asked_for__does_not_exist(world):
    assert signed_in(world.otto).get(address(world, "manifest")).status_code == 404
