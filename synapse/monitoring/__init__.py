"""Files for other monitoring systems, written from the tables of metrics and alerts.

- `grafana`         a dashboard
- `prometheus`      alerting rules, and how Prometheus scrapes Synapse
- `servicemonitor`  how the Prometheus Operator on Kubernetes scrapes Synapse
"""
