"""What a node reads and what reads it, some levels each way."""

from __future__ import annotations

import pandas as pd

from orchestrate.analyzer.classes import TEST_TYPES

LEVELS = 2
# They ask or prepare, and hand no rows on.
_NOT_LINEAGE = (*TEST_TYPES, "operation")


def lineage(project: pd.DataFrame, unique_id: str, levels: int = LEVELS) -> pd.DataFrame:
    """What a node reads and what reads it, so many levels each way; itself at level 0.

    A node reached on two ways stands at the nearer level. `reads` are the unique ids of those in
    the table that it reads. Tests are no part of it.
    """
    listed = project[~project["resource_type"].isin(_NOT_LINEAGE)]
    reads = {
        name: list(above)
        for name, above in zip(listed["unique_id"], listed["depends_on"], strict=True)
    }
    read_by: dict[str, list[str]] = {name: [] for name in reads}
    for name, above in reads.items():
        for one in above:
            if one in read_by:
                read_by[one].append(name)
    places = {unique_id: 0}
    for neighbours, step in ((reads, -1), (read_by, 1)):
        level = [unique_id]
        for distance in range(1, levels + 1):
            level = sorted({one for name in level for one in neighbours[name] if one in reads})
            for name in level:
                places.setdefault(name, step * distance)
    found = listed[listed["unique_id"].isin(places)]
    frame = pd.DataFrame(
        {
            "level": [places[name] for name in found["unique_id"]],
            "name": found["name"],
            "resource_type": found["resource_type"],
            "package": found["package"],
            "owner": found["owner"],
            "reads": [[one for one in reads[name] if one in places] for name in found["unique_id"]],
            "unique_id": found["unique_id"],
        }
    )
    return frame.sort_values(["level", "resource_type", "name"]).reset_index(drop=True)
