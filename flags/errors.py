"""What can go wrong when flags change."""

from audits.errors import GovernanceError
from audits.errors import InvalidInput as InvalidInput


class NotFound(GovernanceError):
    """The thing named does not exist, or not for this person."""

    code = "not_found"
    status = 404
    title = "There is no such thing here"


class PermissionMissing(GovernanceError):
    """The actor lacks the right for this act in this environment."""

    code = "permission_missing"
    status = 403
    title = "You may not do this here"


class OwnGrant(GovernanceError):
    """Somebody tried to give himself a role although another administrator could."""

    code = "own_grant"
    status = 403
    title = "Nobody gives himself a role"


class InvalidDocument(InvalidInput):
    """A config or segment document breaks the rules of documents."""

    code = "invalid_document"
    title = "The flag's settings cannot be used"


class StaleChange(GovernanceError):
    """What the change was based on has moved; `facts["moved"]` says what and from which version to which."""

    code = "stale_change"
    status = 409
    title = "Something changed meanwhile"


class ConcurrentUpdate(GovernanceError):
    """Somebody else acted on the same thing at the same moment and was first."""

    code = "concurrent_update"
    status = 409
    title = "Somebody else was faster"


class AlreadyExists(GovernanceError):
    """The key is taken."""

    code = "already_exists"
    status = 409
    title = "This key is taken"


class KeyKeptBack(GovernanceError):
    """The key belonged to a flag that was archived, and somebody may still ask for it."""

    code = "key_kept_back"
    status = 409
    title = "This key is kept back"


class PayloadArchived(GovernanceError):
    """What was asked for is in an archive and no longer in the database; `facts["file"]` names the file."""

    code = "payload_archived"
    status = 409
    title = "This is in an archive"
