from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Synapse"

    def ready(self) -> None:
        from core import catalog_version, logging_in  # noqa: PLC0415 - needs the loaded models

        catalog_version.watch()
        logging_in.watch()
