"""Metrics as text: Prometheus's own format, and OpenMetrics where samples have a time.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from orchestrate.ledger.store import LedgerError
from orchestrate.monitoring import PREFIX
from orchestrate.monitoring.model import Family, Kind

FILE = "tap_sentry.prom"

_KINDS = {Kind.GAUGE: GaugeMetricFamily, Kind.COUNTER: CounterMetricFamily}


class _Collector(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        for metric, kind, labels, samples in self._families:
            family = _KINDS[kind](PREFIX + metric.name, metric.help, labels=labels)
            for sample in samples:
                family.add_metric(sample.labels, sample.value)
            yield family


def registry(families: Iterable[Family]) -> CollectorRegistry:
    """The families as a registry of Prometheus's client."""
    found = CollectorRegistry(auto_describe=False)
    found.register(_Collector(families))
    return found


def write_textfile(families: Iterable[Family], folder: Path) -> Path:
    """Replace the file for node-exporter's textfile collector in one step. Returns its path.

    https://github.com/prometheus/node_exporter#textfile-collector

    Raises:
        LedgerError: If it can't be written; the old file stays.
    """
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(path), registry(families))
    except OSError as error:
        raise LedgerError(
            f"Cannot write the metrics to {path}: {error.strerror}. Make room or make the folder "
            "writable; the file of before is still there."
        ) from error
    return path


def openmetrics_head(family: Family) -> str:
    """The lines before the samples of a family.

    https://prometheus.io/docs/specs/om/open_metrics_spec/
    """
    # The suffix is part of the samples' name, not of the family's.
    name = _name(family).removesuffix("_total" if family.kind == Kind.COUNTER else "")
    return f"# HELP {name} {_escaped(family.metric.help)}\n# TYPE {name} {family.kind.value}\n"


def openmetrics_series(family: Family, values: Iterable[str], more: Mapping[str, str]) -> str:
    """Name and labels of a series, before its value."""
    labels = {**more, **dict(zip(family.labels, values, strict=True))}
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{_name(family)}{{{told}}}"


def _name(family: Family) -> str:
    return PREFIX + family.metric.name


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
