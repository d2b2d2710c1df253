from django.apps import AppConfig


class BridgesConfig(AppConfig):
    name = "bridges"

    def ready(self) -> None:
        from django.db.models.signals import post_delete  # noqa: PLC0415 - needs the loaded apps

        from bridges import delete_delivery_log, snapshot  # noqa: PLC0415
        from bridges.models import Bridge  # noqa: PLC0415
        from bridges.pull.groups import rename_owner  # noqa: PLC0415
        from synapse.inspection.groups import on_renamed_service, provide_owners  # noqa: PLC0415
        from synapse.retention import janitor  # noqa: PLC0415

        janitor.provide_durable_groups(snapshot.holder.durable_groups)
        provide_owners(snapshot.holder.owners)
        on_renamed_service(rename_owner)
        post_delete.connect(delete_delivery_log.delete_log_of, sender=Bridge, dispatch_uid="delivery-log")
