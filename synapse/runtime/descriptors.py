"""How many descriptors this process may have. A connection is one, and what systems give at first is soon gone."""

import resource

# What to ask for where a system calls more unlimited than it gives (macOS), the most first; the last is its OPEN_MAX.
_FURTHER = (1_048_576, 65_536, 24_576, 10_240)


def take_all() -> None:
    """Let this process have as many as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    for most in (hard, *_FURTHER):
        if most == resource.RLIM_INFINITY or soft < most:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            except (OSError, ValueError):
                continue
            return
