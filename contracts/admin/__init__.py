"""Contracts in the admin.

- `contract`         the list, and the page on which a draft is edited
- `versions`         one version, the difference of two, the schema, and Python code made from it
- `version_actions`  activate, deprecate, restore, discard and delete, each with a confirmation
- `compatibility`    the compatibility check, also while a schema is edited; mode and policy, for one contract or all
- `extensions`       users of a contract, and further actions, registered by other apps
"""

from contracts.admin import contract  # Importing this module registers the pages.
