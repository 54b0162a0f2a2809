"""People and services as verdicts name them, and the approvals they gave."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Approver:
    """A person as the verdict shows them."""

    id: str
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class GivenApproval:
    """One recorded yes: who said it to which content."""

    approver_id: str
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class ServiceYes:
    """A service's yes to a content. It meets the demand for a service account and nothing else."""

    name: str
    digest: str
