"""What became of a node in a run: each class means other work, and other money.

A skipped node was held back by a failure: it is neither reused nor a saving. A node is reused only
where somebody proved or declared that it need not be built: our planner, or state-aware runs of
dbt (https://docs.getdbt.com/docs/deploy/state-aware-about).
"""

from __future__ import annotations

import enum

import pandas as pd

from orchestrate.ledger.model import FAILED, KILLED, TESTS


class NodeClass(str, enum.Enum):
    """In the order in which charts and tables list them."""

    SUCCESS = "success"  # built, and its content is other than before or was not compared
    REUSED = "reused"  # not built, with a reason
    NO_OP = "no-op"  # built, and identical to before: work that changed nothing
    SKIPPED = "skipped"  # held back by what failed before it
    ERROR = "error"
    NOT_SELECTED = "not selected"  # in the project, but not asked for


CLASSES = tuple(found.value for found in NodeClass)
# Statuses that dbt gives to what it did; others (`skipped`, `reused`, `no-op`) did nothing.
_OF_STATUS = {
    "success": NodeClass.SUCCESS,
    "pass": NodeClass.SUCCESS,
    "warn": NodeClass.SUCCESS,
    "created": NodeClass.SUCCESS,
    "reused": NodeClass.REUSED,
    "no-op": NodeClass.NO_OP,
    "skipped": NodeClass.SKIPPED,
    KILLED: NodeClass.ERROR,
    **dict.fromkeys(FAILED, NodeClass.ERROR),
}
IDENTICAL = "identical"
# What a build makes or leaves as it is. Tests ask, hooks prepare, exposures only stand there.
BUILT_TYPES = ("model", "seed", "snapshot")
TEST_TYPES = tuple(sorted(TESTS))


def classify(status: pd.Series, outcome: pd.Series) -> pd.Series:
    """The class of each node, as a categorical of CLASSES.

    Args:
        status: dbt's word. One that nobody knows gives no class.
        outcome: `identical` where the content after a build was that from before it.
    """
    found = status.astype("object").map({word: kind.value for word, kind in _OF_STATUS.items()})
    nothing_new = (found == NodeClass.SUCCESS.value) & (outcome.astype("object") == IDENTICAL)
    values = found.mask(nothing_new, NodeClass.NO_OP.value)
    return pd.Series(pd.Categorical(values, categories=CLASSES), index=status.index)
