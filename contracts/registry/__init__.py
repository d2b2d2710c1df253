"""Operations on contracts. Each operation that changes something writes the audit entry.

- `lookup`         find contracts, versions, schemas and the definitions that use them
- `references`     schemas that refer to versions of other contracts; the PII marks of versions
- `drafts`         write drafts, and make a text the next version: checked for compatibility, with a number and a global
                   id; create many contracts at once
- `compatibility`  whether a schema may follow the existing versions
- `deletion`       hide versions, and delete them for good; delete contracts
- `settings`       compatibility, policy and mode, for one contract or for all
"""

from contracts.registry.compatibility import check_compatibility
from contracts.registry.content import Content, Reference
from contracts.registry.deletion import delete_contract, delete_version, refuse_to_remove, remove_contract
from contracts.registry.drafts import (
    activate,
    check_draft,
    create_contracts,
    deprecate,
    digest_of,
    discard,
    draft,
    draft_of,
    find_or_register,
    register,
)
from contracts.registry.lookup import (
    active_version,
    contract,
    find_equivalent,
    latest_version,
    numbered_versions,
    version,
)
from contracts.registry.references import compile_stored, has_marks, marks_of
