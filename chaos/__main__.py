"""The process of a run, which `launcher.py` starts with `python -m chaos PLAN`. It prints the outcome as JSON."""

import json
import sys

import django
from django.conf import settings

from synapse.redis.embedded import EmbeddedRedisError


def main() -> None:
    """Run the plan of the command line."""
    django.setup()
    # These import models, which need `django.setup()`.
    from chaos.launcher import ChaosServer  # noqa: PLC0415
    from chaos.plan import Plan  # noqa: PLC0415
    from chaos.run import StateUnreadable, run  # noqa: PLC0415

    plan = Plan.from_text(sys.argv[1])
    server = ChaosServer(settings.EMBEDDED_REDIS_DIR, plan.server)
    try:
        outcome = run(plan, settings.VAR_DIR, server)
    except (EmbeddedRedisError, StateUnreadable) as error:
        sys.exit(str(error))
    finally:
        server.stop()
    print(json.dumps(outcome.as_json()))


if __name__ == "__main__":
    main()
