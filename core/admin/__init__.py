"""Base classes and pages of the admin that all apps share: the first page, audit entries, people, own account."""

from core.admin import audit_entries, people  # registers their pages
