from django.apps import AppConfig


class BridgesConfig(AppConfig):
    name = "bridges"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from bridges import snapshot  # noqa: PLC0415 - needs the loaded apps
        from bridges.pull.groups import rename_owner  # noqa: PLC0415
        from streams import janitor, owners  # noqa: PLC0415

        janitor.on_durable_groups(snapshot.holder.durable_groups)
        owners.on_owners(snapshot.holder.owners)
        owners.on_renamed_service(rename_owner)
