"""Archived payloads: which ones left the database, and for which file."""

from django.db import models
from django.db.models import Q

# As archiving names files: a name alone, never a path.
FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*\.gz\Z"


class ArchivedPayload(models.Model):
    """One payload that a file of the archive holds. Append-only; it stays when the payload is brought back.

    The triggers let a column of evidence change in two ways only: from the text with this digest to the note about it,
    and from the note back to that text. `row_id` is the primary key of the row, a UUID without dashes. `meaning` is
    what semantic versions and stages need of a version of a config: see `flags.lifecycle.meanings`.
    """

    environment = models.ForeignKey("flags.Environment", on_delete=models.PROTECT, related_name="+")
    payload_class = models.CharField(max_length=30)
    table_name = models.CharField(max_length=60)
    column_name = models.CharField(max_length=60)
    row_id = models.CharField(max_length=40)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveIntegerField()
    file = models.CharField(max_length=200)
    archived_on = models.DateField()
    meaning = models.JSONField(null=True)
    correlation_id = models.UUIDField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["table_name", "row_id", "column_name", "file"], name="archived_payload_once_in_file"
            ),
            models.CheckConstraint(condition=Q(file__regex=FILE_NAME), name="archived_payload_file_is_a_name"),
        ]
        indexes = [models.Index(fields=["file"], name="archived_payload_by_file")]

    def __str__(self) -> str:
        return f"{self.table_name} {self.row_id} in {self.file}"
