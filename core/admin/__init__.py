"""Base classes and pages of the admin that all apps share: the first page, audit entries, people, own account."""

from core.admin import audit_entries, people  # Importing these modules registers their pages.
