from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class SynapseConfig(AppConfig):
    name = "synapse_project"

    def ready(self) -> None:
        from synapse_project import roles  # noqa: PLC0415 - needs the loaded models

        # After the last app that has models (only those are told of), the permissions of all are there.
        *_, last = (config for config in apps.get_app_configs() if config.models_module)
        post_migrate.connect(roles.keep, sender=last)
