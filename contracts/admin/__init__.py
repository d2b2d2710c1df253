"""Contracts in the admin.

- `contract`         the list, and the page on which a draft is edited
- `versions`         one version, the difference of two, the schema, and Python code made from it
- `version_actions`  activate, deprecate, restore, discard and delete; each asks first
- `compatibility`    the compatibility check, also while somebody writes; mode and policy, of a contract and of all
- `extensions`       users of a contract, and further actions, registered by the apps above
"""

from contracts.admin import contract  # registers the pages
