"""What the admin pages of all apps stand on, and the pages of the record and of people.

- `base`        lists that answer only what they declare; pages whose every change is recorded
- `pages`       pages of a definition beside its form
- `home`        the first page, to which each app adds its part
- `json_field`  JSON in forms: an editor, and mistakes with their line
- `revisions`   what differs between two texts
"""

from core.admin import audit_entries, people
from core.admin.base import AuditedAdmin, AuditedInline, RestrictedAdmin, person

__all__ = ["AuditedAdmin", "AuditedInline", "RestrictedAdmin", "audit_entries", "people", "person"]
