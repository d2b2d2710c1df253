import logging
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.db.models.signals import post_migrate

logger = logging.getLogger(__name__)


def _check_allowed_hosts(**options: Any) -> list[checks.CheckMessage]:
    # This import loads Django REST framework, which would double the memory of handler processes. They need no checks.
    from synapse_project import request_guard_middleware  # noqa: PLC0415

    return request_guard_middleware.check_allowed_hosts(**options)


class SynapseConfig(AppConfig):
    name = "synapse_project"

    def ready(self) -> None:
        from synapse_project import installation, roles  # noqa: PLC0415 - needs the loaded models

        checks.register(_check_allowed_hosts)
        installation.print_difference(
            database=installation.database_of(settings.DATABASES["default"]),
            redis=installation.redis_of(settings.REDIS_URL, settings.EMBEDDED_REDIS_DIR),
        )
        for warning in filter(None, settings.PRIVATE_FILE_WARNINGS):
            logger.warning("%s", warning)
        # The signal is sent for each app with models. After the last one, all permissions exist.
        *_, last = (config for config in apps.get_app_configs() if config.models_module)
        post_migrate.connect(roles.restore_roles, sender=last)
