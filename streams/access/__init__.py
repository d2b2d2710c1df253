"""Authentication of callers, and the keys that they show.

- `identification`          from a key or a session to a principal, without a query; the rights and last use of keys
- `authentication`          the same for views of Django REST framework
- `require_authentication`  a middleware that closes all other paths to anonymous callers
- `key_issuance`            issue, rotate and revoke keys

The rights of a key are in `synapse.auth.key_rights`, and part of the snapshot; operations demand it with
`synapse.auth.permission`.
"""

from streams.access.authentication import (
    MetricsAuthentication,
    PrincipalAuthentication,
    principal_of,
    shows_metrics_token,
)
from streams.access.identification import identify, is_a_persons
