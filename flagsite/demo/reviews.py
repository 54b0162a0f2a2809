"""Reviews of the demo organisation: one proposal for two environments, an objection, an answer, an edit."""

from datetime import timedelta
from typing import TYPE_CHECKING

from audits.context import correlation
from flags.changes import ChangeSet, ConfigEdit
from flags.models import Flag, FlagConfig
from flagsite.demo.catalogue import share
from rollouts.models import BundleMember
from rollouts.services.bundles import create_bundle, submit_bundle
from rollouts.services.change_requests import (
    comment_on_change_request,
    edit_change_request,
    look_at_request,
    request_changes,
)

if TYPE_CHECKING:
    from flagsite.demo.story import Story


def tell_reviews(story: "Story") -> None:
    """Mira asks for staging and production at once; Nora wants less, Ben has not seen the answer yet."""
    at, mira = story.now - timedelta(hours=9), story.actor("mira")
    places = {kind: story.environment("storefront", kind) for kind in ("staging", "production")}
    with correlation():
        requests = create_bundle(
            {place.pk: _share(story, kind, 90) for kind, place in places.items()},
            actor=mira,
            title="Summer banner to 90 %",
            reason="It sells, and staging should show what customers see",
            apply_at=None,
            now=at,
        )
        submit_bundle(BundleMember.objects.get(request=requests[0]).bundle_id, actor=mira, now=at)
    request = next(one for one in requests if one.environment_id == places["production"].pk)
    look_at_request(request.pk, actor=story.actor("ben"), digest=request.digest, now=at + timedelta(hours=1))
    with correlation():
        request_changes(
            request.pk,
            actor=story.actor("nora"),
            digest=request.digest,
            text="Keep a fifth on the plain banner, or we cannot tell what it brings.",
            now=at + timedelta(hours=2),
        )
        asked = comment_on_change_request(
            request.pk, actor=story.actor("nora"), body="Is a fifth enough to compare?", now=at + timedelta(hours=2)
        )
    with correlation():
        comment_on_change_request(
            request.pk,
            actor=mira,
            body="Yes, within two weeks. I lowered it.",
            now=at + timedelta(hours=3),
            reply_to=asked.pk,
        )
        edit_change_request(
            request.pk,
            actor=mira,
            now=at + timedelta(hours=3),
            expected_digest=request.digest,
            change_set=_share(story, "production", 80),
        )


def _share(story: "Story", kind: str, percent: int) -> ChangeSet:
    environment = story.environment("storefront", kind)
    config = FlagConfig.objects.get(
        flag=Flag.objects.get(project__key="storefront", key="hero-banner"), environment=environment
    )
    document = {**config.document, **share(percent, "summer", "plain")}
    return ChangeSet(str(environment.pk), (ConfigEdit("hero-banner", config.version, document),))
