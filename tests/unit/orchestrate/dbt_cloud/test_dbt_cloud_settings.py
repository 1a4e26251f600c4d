"""Settings of dbt Cloud: from the environment only, wrong ones named, the token never said."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrate.dbt_cloud.errors import DbtCloudError
from orchestrate.dbt_cloud.settings import Settings, from_environment, metadata_url

TOKEN = "dbtc_a-secret-that-nobody-may-see"
GIVEN = {"DBT_CLOUD_TOKEN": TOKEN, "DBT_CLOUD_ACCOUNT_ID": "51"}


class TestFromEnvironment:
    def test_needs_two_variables_only(self) -> None:
        assert from_environment(GIVEN) == Settings(
            token=TOKEN,
            account_id=51,
            url="https://cloud.getdbt.com",
            environment_id=None,
            metadata_url="https://metadata.cloud.getdbt.com/graphql",
        )

    def test_takes_the_others(self) -> None:
        more = {
            "DBT_CLOUD_URL": "https://ab1.us1.dbt.com/",
            "DBT_CLOUD_ENVIRONMENT_ID": " 31 ",
            "DBT_CLOUD_METADATA_URL": "https://discovery.acme.test/graphql",
        }
        found = from_environment(GIVEN | more)
        assert found.url == "https://ab1.us1.dbt.com"
        assert found.environment_id == 31
        assert found.metadata_url == "https://discovery.acme.test/graphql"

    @pytest.mark.parametrize("name", sorted(GIVEN))
    @pytest.mark.parametrize("value", [None, " "], ids=["missing", "empty"])
    def test_names_a_missing_variable(self, name: str, value: str | None) -> None:
        given = GIVEN | ({} if value is None else {name: value})
        if value is None:
            del given[name]
        with pytest.raises(DbtCloudError, match=f"{name} is not set"):
            from_environment(given)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("DBT_CLOUD_ACCOUNT_ID", TOKEN),
            ("DBT_CLOUD_ACCOUNT_ID", "-1"),
            ("DBT_CLOUD_ACCOUNT_ID", "9" * 5000),
            ("DBT_CLOUD_ENVIRONMENT_ID", TOKEN),
            ("DBT_CLOUD_URL", TOKEN),
            ("DBT_CLOUD_URL", "cloud.getdbt.com"),
            ("DBT_CLOUD_URL", "http://cloud.getdbt.com"),
            ("DBT_CLOUD_URL", "https://"),
            ("DBT_CLOUD_URL", "https://[::1"),
            ("DBT_CLOUD_URL", "https://cloud.getdbt.com:port"),
            ("DBT_CLOUD_URL", "https://cloud.getdbt.com/deploy/51"),
            ("DBT_CLOUD_URL", f"https://cloud.getdbt.com?token={TOKEN}"),
            ("DBT_CLOUD_URL", f"https://me:{TOKEN}@cloud.getdbt.com"),
            ("DBT_CLOUD_METADATA_URL", "graphql"),
            ("DBT_CLOUD_TOKEN", f"{TOKEN}\n{TOKEN}"),
            ("DBT_CLOUD_TOKEN", f"{TOKEN}…"),
        ],
        ids=str,
    )
    def test_names_a_wrong_variable_and_not_what_it_holds(self, name: str, value: str) -> None:
        with pytest.raises(DbtCloudError, match=name) as caught:
            from_environment(GIVEN | {name: value})
        assert "\n" not in str(caught.value)
        assert TOKEN not in str(caught.value)

    def test_allows_a_server_on_this_machine_without_tls(self) -> None:
        found = from_environment(GIVEN | {"DBT_CLOUD_URL": "http://127.0.0.1:8000"})
        assert found.url == "http://127.0.0.1:8000"


class TestSettings:
    def test_show_no_token(self) -> None:
        assert TOKEN not in repr(from_environment(GIVEN))

    def test_keep_a_ledger_for_each_account(self) -> None:
        found = from_environment(GIVEN).ledger(Path("output"))
        assert found == Path("output/dbt_cloud/51.db")


class TestMetadataUrl:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("https://cloud.getdbt.com", "https://metadata.cloud.getdbt.com/graphql"),
            ("https://emea.dbt.com", "https://metadata.emea.dbt.com/graphql"),
            ("https://au.dbt.com", "https://metadata.au.dbt.com/graphql"),
            ("https://ab1.us1.dbt.com", "https://ab1.metadata.us1.dbt.com/graphql"),
            ("https://cd2.eu1.dbt.com", "https://cd2.metadata.eu1.dbt.com/graphql"),
            ("https://acme.getdbt.com", "https://metadata.acme.getdbt.com/graphql"),
        ],
        ids=["us", "emea", "au", "us cell", "eu cell", "single tenant"],
    )
    def test_follows_the_access_url(self, url: str, expected: str) -> None:
        assert metadata_url(url) == expected
