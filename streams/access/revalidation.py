"""Whether somebody may still do what they were let in for: those who wait or watch are asked again."""

import time

from streams.snapshot import holder
from synapse.auth.principal import Principal
from synapse.auth.rights import Rights
from synapse.problems import Unauthenticated


def rights_now(principal: Principal) -> Rights:
    """Return what a principal may do by the current catalog: a key's rights may have changed since they came.

    Raises:
        Unauthenticated: when their key was revoked, or has expired.
    """
    if not principal.key:
        return principal.rights
    key = holder.current().keys_by_id.get(principal.key)
    if key is None or (key.expires is not None and key.expires <= time.time()):
        raise Unauthenticated(f"The key {principal.key} was revoked, or has expired.")
    return key.rights
