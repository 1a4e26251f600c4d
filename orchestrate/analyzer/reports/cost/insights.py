"""The sentences of the page "cost"."""

from __future__ import annotations

import pandas as pd

from orchestrate.analyzer import formats
from orchestrate.analyzer.classes import NodeClass
from orchestrate.analyzer.report import Insight, Metric, Tone
from orchestrate.analyzer.reports.cost.savings import PROVEN, planning
from orchestrate.analyzer.reports.cost.spans import FAILED, NO_OP
from orchestrate.analyzer.reports.cost.work import Work

SHADOW = "shadow"  # the planner's mode in which all is built, to see whether it was right
_MUCH_FAILED = 0.05


def insights(
    done: Work,
    parts: pd.Series,
    metrics: list[Metric],
    models: pd.DataFrame,
    kinds: pd.DataFrame,
) -> list[Insight]:
    """What stands out, each with the numbers it rests on."""
    found: list[Insight] = []
    total = float(parts.sum())

    def money(amount: float) -> str:
        return formats.money(amount, done.currency)

    if total > 0:
        part, amount = str(parts.idxmax()), float(parts.max())
        found.append(
            Insight(
                Tone.NOTE,
                f"Of {money(total)} the largest part is {part!r}: {money(amount)}, "
                f"{formats.share(amount / total)}.",
            )
        )
    failed = float(parts[FAILED])
    if failed > 0:
        nodes = int((done.nodes["node_class"] == NodeClass.ERROR.value).sum())
        tone = Tone.WARNING if failed / total >= _MUCH_FAILED else Tone.NOTE
        found.append(
            Insight(
                tone,
                f"Failed work cost {money(failed)}, {formats.share(failed / total)} of "
                f"{money(total)}: {nodes:,} nodes that failed or were killed, and loads that did "
                "not succeed.",
            )
        )
    if not models.empty and float(models["cost"].iloc[0]) > 0:
        first = models.iloc[0]
        found.append(
            Insight(
                Tone.NOTE,
                f"{first['name']} costs the most: {money(first['cost'])} for {first['builds']:,} "
                f"builds, {formats.share(first['cost'] / total)} of {money(total)}.",
            )
        )
    named = {metric.name: metric for metric in metrics}
    waste = named["Changed nothing"].value
    if waste is None:
        found.append(
            Insight(
                Tone.NOTE,
                "Whether builds changed anything is unknown: no contents were compared. Build with "
                "--reuse shadow to see it, without leaving anything out.",
            )
        )
    elif float(waste) > 0:
        count = int((done.nodes["part"] == NO_OP).sum())
        found.append(
            Insight(
                Tone.WARNING,
                f"{count:,} builds changed nothing, as their contents prove: "
                f"{money(float(waste))}, {formats.share(float(waste) / total)} of {money(total)}. "
                "--reuse on leaves out those that can be known before.",
            )
        )
    found.extend(_of_saving(named["Proven saving, net"], done, kinds))
    return found


def _of_saving(net: Metric, done: Work, kinds: pd.DataFrame) -> list[Insight]:
    count = int(kinds.loc[PROVEN, "nodes"])
    if not count or net.low is None or net.high is None:
        return []
    tone, verb = (Tone.GOOD if net.low > 0 else Tone.NOTE), "spared"
    if net.high < 0:
        tone, verb = Tone.WARNING, "cost more than it spared"
    planned = planning(done)
    in_shadow = done.nodes.loc[done.nodes["mode"] == SHADOW, "run"].unique()
    total, shadow = (
        formats.money(float(amounts.sum()), done.currency)
        for amounts in (planned, planned[done.sessions["run"].isin(in_shadow)])
    )
    text = (
        f"Reuse {verb}: net {formats.metric(net, done.currency)}, by {count:,} nodes that were "
        f"proven unchanged, less {total} for planning ({shadow} of it in the shadow, where "
        "nothing is spared)."
    )
    return [Insight(tone, text)]
