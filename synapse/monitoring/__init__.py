"""Files for other monitoring systems, written from the tables of metrics and alerts.

- `grafana`     a dashboard
- `prometheus`  alerting rules, and how Prometheus and its Operator on Kubernetes scrape Synapse
"""
