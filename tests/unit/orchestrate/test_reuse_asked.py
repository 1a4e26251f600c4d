"""What of the launcher's command line is its own, and when nothing can be reused."""

from __future__ import annotations

import pytest

from orchestrate.transformer.asked import Asked, AskedError, asked, obstacle, partial


class TestAsked:
    @pytest.mark.parametrize(
        ("arguments", "found"),
        [
            (["build"], Asked(["build"], "off")),
            (
                ["build", "--reuse", "on", "--threads", "4"],
                Asked(["build", "--threads", "4"], "on"),
            ),
            (["build", "--reuse=shadow"], Asked(["build"], "shadow")),
            (["build", "--explain"], Asked(["build"], "off", explain=True)),
            (["build", "--explain", "--json"], Asked(["build"], "off", explain=True, as_json=True)),
            # dbt shall say what is wrong about these.
            (["build", "--json"], Asked(["build", "--json"])),
            (["run", "--reuse", "on"], Asked(["run", "--reuse", "on"])),
        ],
    )
    def test_takes_its_own_options_out(self, arguments: list[str], found: Asked) -> None:
        assert asked(arguments, {}) == found

    def test_follows_the_setting_unless_told_otherwise(self) -> None:
        assert asked(["build"], {"DBT_REUSE": "on"}).mode == "on"
        assert asked(["build", "--reuse", "off"], {"DBT_REUSE": "on"}).mode == "off"
        assert asked(["run"], {"DBT_REUSE": "on"}).mode == "off"

    @pytest.mark.parametrize("arguments", [["build", "--reuse", "maybe"], ["build", "--reuse"]])
    def test_says_which_modes_there_are(self, arguments: list[str]) -> None:
        with pytest.raises(AskedError, match=r"Give --reuse or DBT_REUSE one of off, shadow, on\."):
            asked(arguments, {})

    def test_takes_no_value_of_a_switch(self) -> None:
        with pytest.raises(AskedError, match="Give --explain without a value"):
            asked(["build", "--explain=all"], {})


class TestObstacle:
    def test_is_none_for_whole_builds_of_our_targets(self) -> None:
        pytest.importorskip("sqlglot")
        assert obstacle(["build", "--threads", "2"], "warehouse", {}) is None
        assert obstacle(["build"], "sample", {"DBT_FULL_REFRESH": "0", "DBT_DEFER": ""}) is None

    @pytest.mark.parametrize(
        ("arguments", "target", "environ", "word"),
        [
            (["build"], "postgres", {}, "postgres"),
            (["build", "--select", "a"], "warehouse", {}, "--select"),
            (["build", "-sa"], "warehouse", {}, "-sa"),
            (["build", "-f"], "warehouse", {}, "-f"),
            (["build", "--full-refresh"], "warehouse", {}, "--full-refresh"),
            (["build", "--defer"], "warehouse", {}, "--defer"),
            (["build"], "warehouse", {"DBT_FULL_REFRESH": "true"}, "DBT_FULL_REFRESH"),
        ],
    )
    def test_is_said_of_other_builds(
        self, arguments: list[str], target: str, environ: dict[str, str], word: str
    ) -> None:
        assert word in str(obstacle(arguments, target, environ))

    def test_only_selecting_makes_a_build_partial(self) -> None:
        assert partial(["build", "--exclude=a"]) == "--exclude=a"
        assert partial(["build", "--full-refresh"]) is None
