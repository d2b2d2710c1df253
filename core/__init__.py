"""What all apps stand on: problems (error to HTTP), the audit record, the catalog's version number."""
