"""The audit trail's pages in the admin: for looking only."""

from audits.admin.events import AuditEventAdmin

__all__ = ["AuditEventAdmin"]
