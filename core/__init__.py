"""The base of all apps: problems (error to HTTP), the audit log, the catalog's version number."""
