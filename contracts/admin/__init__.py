"""Contracts in the admin.

- `contract`                the list, and the page on which a draft is edited
- `versions`                what was: one version, the difference of two
- `compatibility_check`     what the compatibility check says of a text, also while somebody writes
- `version_actions`         what happens to versions: activate, deprecate, discard a draft; each asks first
- `version_actions`         rolling back to an older version's schema
- `deletion`                hiding a version, and deleting it for good
- `compatibility_settings`  compatibility, policy and mode, of a contract and of all
- `versions`                a version's schema, and Python code made from it
- `drafts`                  saving and discarding a draft, recorded
- `usage`                   who uses a contract, told by the apps above
- `extra_actions`           what else can be done with a contract, offered by the apps above
"""

from contracts.admin.contract import ContractAdmin

__all__ = ["ContractAdmin"]
