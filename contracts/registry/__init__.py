"""Operations on contracts. Every change is audited by the verb that makes it.

- `lookup`         find contracts, versions, schemas and the definitions that use them
- `references`     schemas that refer to versions of other contracts; the PII marks of versions
- `drafts`         write the next version's text, and make a text a version: numbered, with a global id, checked for
                   compatibility; make many new contracts at once
- `compatibility`  whether a schema may follow the versions that are there
- `deletion`       hide versions, and delete them for good; delete contracts
- `settings`       compatibility, policy and mode, of a contract and of all
"""

from contracts.registry.compatibility import judge
from contracts.registry.content import Content, Reference
from contracts.registry.deletion import delete_contract, delete_version, refuse_to_remove, remove_contract
from contracts.registry.drafts import (
    activate,
    create_contracts,
    deprecate,
    digest_of,
    discard,
    draft,
    draft_of,
    ensure,
    register,
    written,
)
from contracts.registry.lookup import active_version, contract, find, latest_version, numbered, version
from contracts.registry.references import compiled, has_marks, marks
