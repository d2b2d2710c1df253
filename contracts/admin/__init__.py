"""Contracts in the admin.

- `contract`    the list, and the page on which a draft is edited
- `versions`    what was: one version, the difference of two
- `steps`       what happens to versions: activate, deprecate, discard a draft; each asks first
- `drafts`      saving and discarding a draft, recorded
- `uses`        who uses a contract, told by the apps above
"""

from contracts.admin.contract import ContractAdmin

__all__ = ["ContractAdmin"]
