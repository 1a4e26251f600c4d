"""Requests to dbt Cloud: which are made again and when, which stop with one line."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from orchestrate.dbt_cloud.answers import Account, JobDefinition, Run
from orchestrate.dbt_cloud.client import ATTEMPTS, LONGEST_WAIT_S, PAGE, Client
from orchestrate.dbt_cloud.connection import check
from orchestrate.dbt_cloud.errors import BrokenAnswerError, DbtCloudError, MissingError
from tests.unit.orchestrate.dbt_cloud.server import (
    BUILD_STEP,
    NOON,
    PRODUCTION,
    TOKEN,
    DbtCloud,
    Fault,
    model,
)

HTML = Fault(headers={"Content-Type": "text/html"}, body=b"<html>Welcome</html>")


@pytest.fixture
def waits() -> list[float]:
    """The seconds that were waited, one after the other."""
    return []


@pytest.fixture
def client(cloud: DbtCloud, waits: list[float]) -> Iterator[Client]:
    with Client(cloud.settings(), sleep=waits.append, now_s=NOON.timestamp) as opened:
        yield opened


def said(caught: pytest.ExceptionInfo[DbtCloudError]) -> str:
    """The message, which is one line without the token."""
    message = str(caught.value)
    assert "\n" not in message
    assert TOKEN not in message
    return message


class TestAnotherAttempt:
    def test_waits_as_long_as_the_server_asks(
        self, cloud: DbtCloud, client: Client, waits: list[float]
    ) -> None:
        cloud.faults["51"] = [Fault(429, {"Retry-After": "7"})]
        assert client.data("", Account).name == "Acme"
        assert waits == [7]

    def test_reads_a_date_to_wait_for(
        self, cloud: DbtCloud, client: Client, waits: list[float]
    ) -> None:
        # It is noon.
        cloud.faults["51"] = [Fault(503, {"Retry-After": "Fri, 20 Nov 2026 12:00:42 GMT"})]
        client.data("", Account)
        assert waits == [42]

    def test_waits_twice_as_long_each_time_without_word(
        self, cloud: DbtCloud, client: Client, waits: list[float]
    ) -> None:
        cloud.faults["51"] = [Fault(500), Fault(502), Fault(429)]
        client.data("", Account)
        assert waits == [1, 2, 4]

    @pytest.mark.parametrize("asked", ["soon", "-5", "1e9"])
    def test_takes_no_nonsense_for_a_wait(
        self, cloud: DbtCloud, client: Client, waits: list[float], asked: str
    ) -> None:
        cloud.faults["51"] = [Fault(429, {"Retry-After": asked})]
        client.data("", Account)
        assert waits == [1]

    def test_waits_no_longer_than_five_minutes(
        self, cloud: DbtCloud, client: Client, waits: list[float]
    ) -> None:
        cloud.faults["51"] = [Fault(429, {"Retry-After": "86400"})]
        client.data("", Account)
        assert waits == [LONGEST_WAIT_S]

    def test_follows_an_answer_that_is_cut(
        self, cloud: DbtCloud, client: Client, waits: list[float]
    ) -> None:
        cloud.faults["51"] = [Fault(cut=True), Fault(body=b'{"data": {"id": 51')]
        assert client.data("", Account).id == 51
        assert len(waits) == 2

    def test_is_not_made_for_ever(
        self, cloud: DbtCloud, client: Client, waits: list[float]
    ) -> None:
        cloud.faults["51"] = [Fault(500)] * (ATTEMPTS + 1)
        with pytest.raises(DbtCloudError, match="answered 500, 5 times") as caught:
            client.data("", Account)
        said(caught)
        assert waits == [1, 2, 4, 8]

    def test_is_made_where_nobody_answers(self, cloud: DbtCloud, waits: list[float]) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # and does not listen
            settings = cloud.settings(url=f"http://127.0.0.1:{taken.getsockname()[1]}")
            with (
                Client(settings, sleep=waits.append) as client,
                pytest.raises(DbtCloudError, match="could not be reached, 5 times") as caught,
            ):
                client.data("", Account)
        said(caught)
        assert len(waits) == ATTEMPTS - 1

    def test_ends_when_the_work_is_stopped(self, cloud: DbtCloud) -> None:
        cloud.faults["51"] = [Fault(429, {"Retry-After": "300"})]
        caught: list[DbtCloudError] = []

        def ask(client: Client) -> None:
            try:
                client.data("", Account)
            except DbtCloudError as error:
                caught.append(error)

        with Client(cloud.settings()) as client:
            thread = threading.Thread(target=ask, args=(client,))
            thread.start()
            client.stop()
            thread.join(20)
            assert not thread.is_alive()
        assert "stopped" in str(caught[0])


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "hint"),
        [
            (401, "DBT_CLOUD_TOKEN is not valid"),
            (403, "the token may not read that"),
            (404, "does not have that in account 51"),
            (400, "answered 400"),
        ],
    )
    def test_stop_at_once_with_one_line(
        self, cloud: DbtCloud, client: Client, waits: list[float], status: int, hint: str
    ) -> None:
        cloud.faults["runs"] = [Fault(status)]
        with pytest.raises(DbtCloudError, match=hint) as caught:
            list(client.pages("runs/", Run, {"order_by": "-id"}))
        said(caught)
        assert waits == []
        assert len(cloud.asked) == 1

    def test_of_a_wrong_token_do_not_repeat_it(self, cloud: DbtCloud) -> None:
        wrong = cloud.settings(token=f"{TOKEN}-of-last-year")
        with (
            Client(wrong) as client,
            pytest.raises(DbtCloudError, match="answered 401") as caught,
        ):
            client.data("", Account)
        said(caught)

    def test_come_where_the_token_is_not_sent_on_to_another_host(
        self, cloud: DbtCloud, client: Client
    ) -> None:
        elsewhere = f"http://localhost:{cloud.port}/elsewhere"
        cloud.faults["51"] = [Fault(302, {"Location": elsewhere})]
        with pytest.raises(DbtCloudError, match="answered 401"):
            client.data("", Account)
        assert [(one.path, one.authorization) for one in cloud.asked] == [
            ("/api/v2/accounts/51/", f"Token {TOKEN}"),
            ("/elsewhere", None),
        ]

    def test_of_a_wrong_account_name_it(self, cloud: DbtCloud) -> None:
        with (
            Client(cloud.settings(account_id=52)) as client,
            pytest.raises(MissingError, match=r"/accounts/52/ answered 404.*DBT_CLOUD_ACCOUNT_ID"),
        ):
            client.data("", Account)

    def test_say_that_an_address_is_that_of_a_page_for_people(
        self, cloud: DbtCloud, client: Client
    ) -> None:
        cloud.faults["51"] = [HTML]
        with pytest.raises(DbtCloudError, match="DBT_CLOUD_URL is not that of dbt Cloud"):
            client.data("", Account)

    def test_name_a_shape_that_is_not_known(self, cloud: DbtCloud, client: Client) -> None:
        cloud.faults["51"] = [Fault(body=b'{"data": {"id": "fifty-one"}}')]
        with pytest.raises(DbtCloudError, match=r"another shape.*got `str`") as caught:
            client.data("", Account)
        said(caught)


class TestPages:
    @pytest.mark.parametrize("tells_totals", [True, False])
    @pytest.mark.parametrize("runs", [0, 1, PAGE, PAGE + 1])
    def test_come_to_their_end(
        self, cloud: DbtCloud, client: Client, runs: int, tells_totals: bool
    ) -> None:
        cloud.tells_totals = tells_totals
        cloud.runs = [
            {"id": number, "status": 1, "created_at": "2026-11-20T10:00:00Z"}
            for number in range(runs)
        ]
        pages = client.pages("runs/", Run, {"order_by": "-id"})
        found = [run.id for page in pages for run in page]
        assert found == list(reversed(range(runs)))

    def test_may_be_shorter_than_asked(self, cloud: DbtCloud, client: Client) -> None:
        cloud.most_per_page = 1
        found = [one.id for page in client.pages("jobs/", JobDefinition) for one in page]
        assert found == [900, 901, 902, 903]


class TestArtifacts:
    def test_that_are_missing_are_none(self, client: Client) -> None:
        assert client.artifact(1, "run_results.json", BUILD_STEP) is None

    def test_that_are_never_whole_are_told_apart(self, cloud: DbtCloud, client: Client) -> None:
        cloud.add(1)
        cloud.faults["run_results.json"] = [Fault(body=b'{"metadata"')] * ATTEMPTS
        with pytest.raises(BrokenAnswerError, match="not whole, 5 times"):
            client.artifact(1, "run_results.json", BUILD_STEP)


class TestCheck:
    def test_tells_account_and_environments(self, cloud: DbtCloud) -> None:
        found = check(cloud.settings())
        assert found.account == "Acme"
        assert [(one.id, one.name) for one in found.environments] == [
            (31, "Production"),
            (32, "Staging"),
        ]
        assert "graphql" not in cloud.counted()

    def test_asks_the_discovery_api_of_an_environment(self, cloud: DbtCloud) -> None:
        cloud.models = [model("model.shop.fct_orders", 1, "success")]
        assert check(cloud.settings(environment_id=PRODUCTION)).discovery is None
        assert cloud.counted()["graphql"] == 1

    def test_says_what_is_wrong_with_the_discovery_api_alone(self, cloud: DbtCloud) -> None:
        cloud.faults["graphql"] = [Fault(403)]
        found = check(cloud.settings(environment_id=PRODUCTION))
        assert found.account == "Acme"
        assert found.discovery
        assert "answered 403" in found.discovery

    def test_lists_environments_where_one_is_not_there(self, cloud: DbtCloud) -> None:
        with pytest.raises(DbtCloudError, match=r"no environment 99.*31 \(Production\), 32 "):
            check(cloud.settings(environment_id=99))
