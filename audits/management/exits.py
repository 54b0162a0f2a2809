"""What commands end with when they cannot end with 0. `docs/operations.md` has the table."""

from audits.errors import GovernanceError

# It looked, and what it looked at is not as it should be.
FOUND_WRONG = 1
# What it was told cannot be used: no such file, project or person, a text nobody can read.
UNUSABLE = 2
# It was told well enough, and a role or a rule says no.
REFUSED = 3


def code_of(error: GovernanceError) -> int:
    """What a command ends with that was stopped by this error."""
    return UNUSABLE if error.status == 400 else REFUSED
