from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SynapseConfig(AppConfig):
    name = "synapse_project"

    def ready(self) -> None:
        from synapse_project import roles  # noqa: PLC0415 - needs the loaded models

        # It is the last of the apps: the permissions of all are there.
        post_migrate.connect(roles.keep, sender=self)
