"""Who is calling, and what they may do.

- `identification`          from that to a principal, without a query
- `identification`          people who come with a session of the admin, and their rights
- `authentication`          the same for Django REST framework
- `require_authentication`  Django middleware: what no view has asked about is closed
- `key_issuance`            keys are issued, rotated and revoked
- `identification`          when each key was last used
- `revalidation`            whether somebody may still do what they were let in for

What a key may do is in `synapse.auth.scopes`, and part of the snapshot.
"""

from streams.access.authentication import (
    MetricsAuthentication,
    PrincipalAuthentication,
    principal_of,
    shows_metrics_token,
)
from streams.access.identification import identify, is_a_persons

__all__ = [
    "MetricsAuthentication",
    "PrincipalAuthentication",
    "identify",
    "is_a_persons",
    "principal_of",
    "shows_metrics_token",
]
