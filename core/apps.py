from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = "Synapse"

    def ready(self) -> None:
        from core import catalog_version, login_audit  # noqa: PLC0415 - needs the loaded models

        catalog_version.watch()
        login_audit.watch()
