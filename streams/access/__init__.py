"""Authentication of callers, and their API keys.

- `identification`          the principal of a key (without a query) or a session; the rights and last use of keys
- `authentication`          authentication classes for Django REST framework
- `require_authentication`  a middleware that closes all other paths to anonymous callers
- `key_issuance`            issue, rotate and revoke keys

`synapse.auth.key_rights` computes the rights of a key, which are part of the snapshot; operations demand them with
`synapse.auth.permission`.
"""

from streams.access.authentication import (
    MetricsAuthentication,
    PrincipalAuthentication,
    principal_of,
    shows_metrics_token,
)
from streams.access.identification import has_only_session, identify
