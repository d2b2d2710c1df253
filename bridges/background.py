"""What every web server process does for bridges beside its work: groups that nobody pulls any more expire."""

from datetime import UTC, datetime

from django.db import close_old_connections

from bridges.groups import expiry
from bridges.pull import groups
from synapse.runtime.periodic import Periodic


def let_unused_groups_expire() -> None:
    """Write which groups were read, and delete those that nobody reads."""
    close_old_connections()
    groups.flush()
    expiry.expire(datetime.now(UTC))


WORK = Periodic("unused groups", 600.0, let_unused_groups_expire)
