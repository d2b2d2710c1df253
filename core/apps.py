from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = "Synapse"

    def ready(self) -> None:
        from core import catalog_version, logins  # noqa: PLC0415 - needs the loaded models

        catalog_version.connect_signals()
        logins.connect_signals()
