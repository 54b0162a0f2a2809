"""Comments on change requests, and the threads they make."""

import uuid

from django.conf import settings
from django.db import models


class Comment(models.Model):
    """What somebody had to say about a request. Append-only; the database refuses UPDATE and DELETE.

    `reply_to` is the comment that began the thread; None: this one begins a thread.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey("rollouts.ChangeRequest", on_delete=models.PROTECT, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reply_to = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="replies")
    body = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.author} on {self.request}"


class ThreadMark(models.Model):
    """Somebody called a thread resolved, or opened it again; the mark with the highest number counts. Append-only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    comment = models.ForeignKey(Comment, on_delete=models.PROTECT, related_name="marks")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    sequence = models.PositiveIntegerField()
    is_resolved = models.BooleanField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["comment", "sequence"]
        constraints = [models.UniqueConstraint(fields=["comment", "sequence"], name="thread_mark_in_order")]

    def __str__(self) -> str:
        return f"{self.comment}: {'resolved' if self.is_resolved else 'open'}"
