"""Who is calling, and what they may do.

- `identifying`     from that to a principal, without a query
- `people`          people who come with a session of the admin, and their rights
- `authentication`  the same for Django REST framework
- `strangers`       Django middleware: what no view has asked about is closed
- `issuing`         keys are issued, rotated and revoked
- `usage`           when each key was last used
- `standing`        whether somebody may still do what they were let in for

What a key may do is in `synapse.auth.scopes`, and part of the snapshot.
"""

from streams.access.authentication import (
    MetricsAuthentication,
    PrincipalAuthentication,
    principal_of,
    shows_metrics_token,
)
from streams.access.identifying import identify, is_a_persons

__all__ = [
    "MetricsAuthentication",
    "PrincipalAuthentication",
    "identify",
    "is_a_persons",
    "principal_of",
    "shows_metrics_token",
]
