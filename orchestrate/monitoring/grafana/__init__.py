"""Grafana: provisioning, and dashboards as code.

A module per dashboard has its panels as plain data (`model`); `building` makes of them what
Grafana reads, with Grafana's own package. `python -m orchestrate.monitoring.grafana` writes
dashboards/*.json. It needs grafana-foundation-sdk (Python 3.11), a development dependency:
Grafana itself reads the JSON.
"""
