"""Where Redis is: what `REDIS_URL` says, else where the embedded server was recorded."""

from django.conf import settings

from synapse.errors.streams import BrokerDown
from synapse.redis import embedded


def redis_url() -> str:
    """Return the URL of the server (`settings.REDIS_LOCATOR` names this function).

    Raises:
        BrokerDown: when none is configured and the embedded one was never started here.
    """
    if settings.REDIS_URL:
        return str(settings.REDIS_URL)
    endpoint = embedded.recorded_endpoint(settings.EMBEDDED_REDIS_DIR)
    if endpoint is None:
        raise BrokerDown("No Redis is configured and the embedded one was never started: run `make run` first.")
    return endpoint.url
