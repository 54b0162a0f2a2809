"""Where code names flags: repositories, scans of a branch, and each place with when it came and went."""

import uuid

from django.db import models


class CodeRepository(models.Model):
    """A repository that is scanned. `url_template` makes a link of `{branch}`, `{commit}`, `{path}` and `{line}`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="repositories")
    name = models.CharField(max_length=200)
    default_branch = models.CharField(max_length=200)
    url_template = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="code_repository_unique")]

    def __str__(self) -> str:
        return self.name


class CodeScan(models.Model):
    """One look at a branch; the newest one says what is there. Never changed. `root` is the folder that was looked at,
    empty for all. `left_out` are references to keys that are no flags of the project.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    repository = models.ForeignKey(CodeRepository, on_delete=models.PROTECT, related_name="scans")
    branch = models.CharField(max_length=200)
    commit = models.CharField(max_length=64, blank=True)
    committed_at = models.DateTimeField(null=True, blank=True)
    root = models.CharField(max_length=1000, blank=True)
    scanned_at = models.DateTimeField()
    received_at = models.DateTimeField()
    files_read = models.PositiveIntegerField()
    files_skipped = models.PositiveIntegerField(default=0)
    references = models.PositiveIntegerField()
    added = models.PositiveIntegerField()
    vanished = models.PositiveIntegerField()
    left_out = models.PositiveIntegerField()
    reported_by = models.CharField(max_length=120)

    class Meta:
        ordering = ["-scanned_at"]
        indexes = [models.Index(fields=["repository", "branch", "-scanned_at"], name="code_scan_newest")]

    def __str__(self) -> str:
        return f"{self.branch} at {self.commit[:12]}"


class CodeReference(models.Model):
    """A line of a branch that names a flag: the first, second … of the file, so one that moves stays the same.

    `vanished_at` is when a scan no longer found it, `last_seen_at` the scan before, None while it is there. `text` only
    if sent.
    """

    id = models.BigAutoField(primary_key=True)
    repository = models.ForeignKey(CodeRepository, on_delete=models.PROTECT, related_name="references", db_index=False)
    branch = models.CharField(max_length=200)
    flag_key = models.CharField(max_length=100)
    alias = models.CharField(max_length=200, blank=True)
    path = models.CharField(max_length=1000)
    ordinal = models.PositiveIntegerField()
    line = models.PositiveIntegerField()
    column = models.PositiveIntegerField()
    text = models.CharField(max_length=500, blank=True)
    first_seen_at = models.DateTimeField()
    first_commit = models.CharField(max_length=64, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    vanished_at = models.DateTimeField(null=True, blank=True)
    vanished_commit = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["path", "line"]
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "branch", "path", "flag_key", "ordinal"], name="code_reference_unique"
            )
        ]
        indexes = [models.Index(fields=["repository", "flag_key", "vanished_at"], name="code_reference_by_flag")]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"
