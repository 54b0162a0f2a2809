"""What is stored about acts."""

from audits.models.events import AuditActor, AuditChain, AuditEvent

__all__ = ["AuditActor", "AuditChain", "AuditEvent"]
