"""Where things are: from variables, else below the project's folder."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
DEFAULT_ENVIRONMENT = "demo"
# Targets of profiles.yml whose file this package knows; somebody's own is left to dbt.
WAREHOUSE_TARGET, SAMPLE_TARGET = "warehouse", "sample"


@dataclass(frozen=True)
class Paths:
    """Absolute paths. Everything that dbt writes lies beside the warehouse.

    The sample is the same in every environment: it has a folder and a variable of its own.
    """

    root: Path
    environment: str
    warehouse: Path
    warehouse_variable: str
    project: Path

    @classmethod
    def of(cls, environ: Mapping[str, str], target: str = WAREHOUSE_TARGET) -> Paths:
        """From MELTANO_PROJECT_ROOT and _ENVIRONMENT, DBT_PROJECT_DIR and the file's variable."""
        root = Path(environ.get("MELTANO_PROJECT_ROOT") or CHECKOUT).absolute()
        environment = environ.get("MELTANO_ENVIRONMENT") or DEFAULT_ENVIRONMENT
        variable = "DBT_WAREHOUSE_PATH"
        if target == SAMPLE_TARGET:
            environment, variable = SAMPLE_TARGET, "DBT_SAMPLE_PATH"
        warehouse = environ.get(variable) or f"output/{environment}/warehouse.duckdb"
        project = environ.get("DBT_PROJECT_DIR") or "transform"
        return cls(root, environment, root / warehouse, variable, root / project)

    @property
    def output(self) -> Path:
        """What runs write; the ledger lies in it."""
        return self.root / "output"

    @property
    def published(self) -> Path:
        """The copy for readers. Same file name, since views name the file's stem."""
        return self.warehouse.parent / "published" / self.warehouse.name

    @property
    def dbt(self) -> Path:
        return self.warehouse.parent / "dbt"

    @property
    def target(self) -> Path:
        return self.dbt / "target"

    @property
    def runs(self) -> Path:
        return self.dbt / "runs"

    def shown(self, path: Path) -> str:
        """The path as a person in the project's folder writes it."""
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def give_to_dbt(self, environ: MutableMapping[str, str]) -> None:
        """Set dbt's variables, leaving those that somebody set on purpose."""
        environ[self.warehouse_variable] = str(self.warehouse)
        environ["DBT_PROJECT_DIR"] = str(self.project)
        for name, value in {
            "DBT_PROFILES_DIR": str(self.project),
            "DBT_TARGET_PATH": str(self.target),
            "DBT_LOG_PATH": str(self.dbt / "logs"),
            "DBT_LOG_FORMAT_FILE": "json",
            "DBT_LOG_LEVEL_FILE": "debug",
            "DBT_USE_COLORS": "false",
            "DBT_USE_COLORS_FILE": "false",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DBT_VERSION_CHECK": "false",
        }.items():
            if not environ.get(name):
                environ[name] = value
        # dbt writes such variables into every event and artifact: whoever reads can join them.
        for name in ("MELTANO_RUN_ID", "TRACEPARENT"):
            if environ.get(name):
                environ[f"DBT_ENV_CUSTOM_ENV_{name}"] = environ[name]
