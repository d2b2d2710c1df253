"""How the Prometheus Operator scrapes Synapse on Kubernetes (https://prometheus-operator.dev/docs/api-reference/api/)."""

from typing import Any


def service_monitor(
    *, name: str, namespace: str, port: str, interval: str, secret: str | None = None
) -> dict[str, Any]:
    """Return a ServiceMonitor as a Kubernetes object.

    Args:
        name: of the ServiceMonitor, and of the Service's label `app.kubernetes.io/name`.
        namespace: of the Service.
        port: the name of the Service's port.
        interval: how often to scrape, such as `30s`.
        secret: the Kubernetes Secret whose key `token` is a key of Synapse with the scope `metrics:read`, or
            SYNAPSE_METRICS_TOKEN; None where the installation runs open.
    """
    endpoint: dict[str, Any] = {"port": port, "path": "/metrics", "interval": interval}
    if secret:
        credentials = {"name": secret, "key": "token"}
        endpoint["authorization"] = {"type": "Bearer", "credentials": credentials}
    labels = {"app.kubernetes.io/name": name}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {"selector": {"matchLabels": labels}, "endpoints": [endpoint]},
    }
