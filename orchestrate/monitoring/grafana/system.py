"""The host that the pipeline runs on (node-exporter), and what the pipeline keeps there."""

from __future__ import annotations

from orchestrate.monitoring.grafana.model import (
    CRITICAL,
    ENVIRONMENT,
    GOOD,
    HERE,
    NOTICE,
    WARNING,
    Column,
    Dashboard,
    Kind,
    Panel,
    Query,
    Row,
    State,
    Step,
    Variable,
)

# As in the alerts.
USED_STEPS = (Step(0.7, NOTICE), Step(0.8, WARNING))
DISK_STEPS = (Step(0.8, WARNING), Step(0.9, CRITICAL))
_UP = (State(0, "down", CRITICAL), State(1, "up", GOOD))
_HOST = 'instance=~"$instance"'
# Memory and what the kernel makes up are no disks.
_DISKS = (
    f'{_HOST}, fstype!~"tmpfs|ramfs|squashfs|proc|sysfs|devtmpfs|nsfs|fuse.*", '
    'mountpoint!~"/(dev|proc|sys|run|etc)($|/.*)"'
)
_DEVICES = f'{_HOST}, device!~"(loop|ram|dm-|zram).*"'
_NETWORK = f'{_HOST}, device!~"lo|veth.*|docker.*|br-.*"'

_CPU = (
    "1 - avg by (instance) "
    f'(rate(node_cpu_seconds_total{{{_HOST}, mode="idle"}}[$__rate_interval]))'
)
_MEMORY = (
    f"1 - max by (instance) (node_memory_MemAvailable_bytes{{{_HOST}}})"
    f" / max by (instance) (node_memory_MemTotal_bytes{{{_HOST}}})"
)
_FILLED = (
    f"1 - min by (instance, mountpoint) (node_filesystem_avail_bytes{{{_DISKS}}})"
    f" / max by (instance, mountpoint) (node_filesystem_size_bytes{{{_DISKS}}})"
)


def _share(title: str, description: str, query: str, steps: tuple[Step, ...]) -> Panel:
    return Panel(
        Kind.STAT,
        title,
        description,
        (Query(query),),
        unit="percentunit",
        width=4,
        height=4,
        steps=steps,
        decimals=0,
    )


_NOW = Row(
    "Now",
    (
        _share(
            "CPU",
            "Share of the processors' time that is used; an alert from 80 % on.",
            f"max({_CPU})",
            USED_STEPS,
        ),
        _share(
            "Memory",
            "Share of the memory that is not available; an alert from 80 % on.",
            f"max({_MEMORY})",
            USED_STEPS,
        ),
        _share(
            "Fullest disk",
            "Share of the fullest disk that is used; critical from 90 % on.",
            f"max({_FILLED})",
            DISK_STEPS,
        ),
        Panel(
            Kind.STAT,
            "Targets down",
            "Targets that Prometheus cannot reach.",
            (Query("count(up == 0) or vector(0)"),),
            width=4,
            height=4,
            steps=(Step(1, CRITICAL),),
        ),
        Panel(
            Kind.STAT,
            "Age of the metrics",
            "Time since the pipeline's metrics were written; half an hour is an alert.",
            (Query("time() - max(tap_sentry_metrics_timestamp_seconds)"),),
            unit="s",
            width=4,
            height=4,
            steps=(Step(900, NOTICE), Step(1800, CRITICAL)),
        ),
        Panel(
            Kind.STAT,
            "Marts unreadable",
            "Marts whose metrics could not be read from the published copy.",
            (Query(f"sum(1 - min by (mart) (tap_sentry_mart_readable{{{HERE}}}))"),),
            width=4,
            height=4,
            steps=(Step(1, CRITICAL),),
        ),
    ),
)

_LOAD = Row(
    "Host",
    (
        Panel(
            Kind.TIMESERIES,
            "CPU",
            "Share of the processors' time that is used.",
            (Query(_CPU, "{{instance}}"),),
            unit="percentunit",
            width=8,
            steps=USED_STEPS,
            highest=1,
        ),
        Panel(
            Kind.TIMESERIES,
            "Memory",
            "Share of the memory that is not available.",
            (Query(_MEMORY, "{{instance}}"),),
            unit="percentunit",
            width=8,
            steps=USED_STEPS,
            highest=1,
        ),
        Panel(
            Kind.TIMESERIES,
            "Load",
            "Processes that run or wait, per processor, mean of 5 minutes.",
            (
                Query(
                    f"max by (instance) (node_load5{{{_HOST}}}) / count by (instance) "
                    f'(node_cpu_seconds_total{{{_HOST}, mode="idle"}})',
                    "{{instance}}",
                ),
            ),
            unit="none",
            width=8,
            steps=(Step(1, NOTICE),),
        ),
        Panel(
            Kind.BARS,
            "Disks",
            "Share of each disk that is used.",
            (Query(_FILLED, "{{mountpoint}}"),),
            unit="percentunit",
            width=8,
            steps=DISK_STEPS,
            highest=1,
            decimals=0,
        ),
        Panel(
            Kind.TIMESERIES,
            "Disks are busy",
            "Share of the time in which a disk has work.",
            (
                Query(
                    "max by (instance, device) "
                    f"(rate(node_disk_io_time_seconds_total{{{_DEVICES}}}[$__rate_interval]))",
                    "{{device}}",
                ),
            ),
            unit="percentunit",
            width=8,
            steps=(Step(0.9, WARNING),),
            highest=1,
        ),
        Panel(
            Kind.TIMESERIES,
            "Disks: read and written",
            "Bytes a second, all disks; read above, written below.",
            (
                Query(
                    "sum by (instance) (rate(node_disk_read_bytes_total"
                    f"{{{_DEVICES}}}[$__rate_interval]))",
                    "read",
                ),
                Query(
                    "-sum by (instance) (rate(node_disk_written_bytes_total"
                    f"{{{_DEVICES}}}[$__rate_interval]))",
                    "written",
                ),
            ),
            unit="Bps",
            width=8,
            lowest=None,
        ),
        Panel(
            Kind.TIMESERIES,
            "Network",
            "Bytes a second; received above, sent below.",
            (
                Query(
                    "sum by (instance) (rate(node_network_receive_bytes_total"
                    f"{{{_NETWORK}}}[$__rate_interval]))",
                    "received",
                ),
                Query(
                    "-sum by (instance) (rate(node_network_transmit_bytes_total"
                    f"{{{_NETWORK}}}[$__rate_interval]))",
                    "sent",
                ),
            ),
            unit="Bps",
            width=8,
            lowest=None,
        ),
        Panel(
            Kind.TIMESERIES,
            "Network errors",
            "Packets a second that were broken or dropped, both ways.",
            (
                Query(
                    "sum by (device) ("
                    + " + ".join(
                        f"rate(node_network_{way}_{what}_total{{{_NETWORK}}}[$__rate_interval])"
                        for way in ("receive", "transmit")
                        for what in ("errs", "drop")
                    )
                    + ")",
                    "{{device}}",
                ),
            ),
            unit="pps",
            width=8,
        ),
        Panel(
            Kind.STATES,
            "Targets",
            "Whether Prometheus reaches each of its targets.",
            (Query("min by (job, instance) (up)", "{{job}} {{instance}}"),),
            unit="none",
            width=8,
            states=_UP,
        ),
    ),
)

_PIPELINE = Row(
    "What the pipeline keeps",
    (
        Panel(
            Kind.TIMESERIES,
            "Size of the warehouse",
            "The live file and its published copy.",
            (Query(f"max by (file) (tap_sentry_warehouse_size_bytes{{{HERE}}})", "{{file}}"),),
            unit="bytes",
            width=8,
        ),
        Panel(
            Kind.TIMESERIES,
            "Size of the ledger",
            "All runs of all environments that are remembered.",
            (Query("max(tap_sentry_ledger_size_bytes)", "ledger"),),
            unit="bytes",
            width=8,
        ),
        Panel(
            Kind.TIMESERIES,
            "Making the metrics",
            "How long it took to ask ledger and marts.",
            (Query("max(tap_sentry_metrics_duration_seconds)", "collect"),),
            unit="s",
            width=8,
        ),
        Panel(
            Kind.TABLE,
            "Largest tables",
            "Rows in the published copy, raw ones among them.",
            (Query(f"topk(12, max by (schema, table) (tap_sentry_table_rows{{{HERE}}}))"),),
            columns=(
                Column("schema", "Schema"),
                Column("table", "Table"),
                Column("A", "Rows", "short"),
            ),
            sort="Rows",
        ),
        Panel(
            Kind.TIMESERIES,
            "Age of the textfile",
            "Time since the file that node-exporter reads was written.",
            (
                Query(
                    "time() - max by (instance) "
                    '(node_textfile_mtime_seconds{file=~".*tap_sentry.prom"})',
                    "{{instance}}",
                ),
            ),
            unit="s",
            steps=(Step(1800, CRITICAL),),
        ),
    ),
)

_CONTAINERS = Row(
    "Options: containers, by cAdvisor",
    (
        Panel(
            Kind.TIMESERIES,
            "CPU of containers",
            "Processors that each container uses.",
            (
                Query(
                    "sum by (name) "
                    '(rate(container_cpu_usage_seconds_total{name!=""}[$__rate_interval]))',
                    "{{name}}",
                ),
            ),
            unit="none",
            width=8,
        ),
        Panel(
            Kind.TIMESERIES,
            "Memory of containers",
            "What each container cannot give back.",
            (Query('sum by (name) (container_memory_working_set_bytes{name!=""})', "{{name}}"),),
            unit="bytes",
            width=8,
        ),
        Panel(
            Kind.TIMESERIES,
            "Restarts of containers",
            "Starts of each container in an hour.",
            (
                Query(
                    'sum by (name) (changes(container_start_time_seconds{name!=""}[1h]))',
                    "{{name}}",
                ),
            ),
            width=8,
            steps=(Step(1, WARNING),),
        ),
    ),
    optional=True,
)

DASHBOARD = Dashboard(
    "system",
    "Sentry data: system",
    "The host, the disks and the files of the pipeline.",
    "now-24h",
    (ENVIRONMENT, Variable("instance", "Host", "node_uname_info", many=True)),
    (_NOW, _LOAD, _PIPELINE, _CONTAINERS),
)
