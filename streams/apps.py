from django.apps import AppConfig


class StreamsConfig(AppConfig):
    name = "streams"

    def ready(self) -> None:
        from contracts.registry import lookup  # noqa: PLC0415 - needs the loaded apps
        from core import catalog_version  # noqa: PLC0415
        from streams import kept_snapshot, snapshot  # noqa: PLC0415
        from streams.models import EventType  # noqa: PLC0415

        catalog_version.on_change(snapshot.holder.load_own_change)
        # Recorded at once, because a command ends before any background work would do it, and a key that it revoked
        # must not become valid again.
        catalog_version.on_change(lambda: kept_snapshot.file.record_version(snapshot.holder.current()))
        lookup.register_users(EventType.names_of_users)
