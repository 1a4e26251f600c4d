from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import pytest

from tap_sentry.errors import AuthError, NotAvailable, SettingsError
from tap_sentry.organization import Organization
from tests.scripted import Clock, Reply, Scripted, client, link, routed, settings

NOW = datetime(2026, 11, 20, tzinfo=timezone.utc)
ACME = {"id": "1", "slug": "acme", "links": {"regionUrl": "https://us.sentry.io"}}
OTHER = {"id": "2", "slug": "other"}
WEB = {"id": "11", "slug": "web"}
API = {"id": "12", "slug": "api"}
OLD = {"id": "13", "slug": "old"}


def organization(transport: Scripted, **config: Any) -> Organization:
    given = settings(**config)
    clock = Clock()
    return Organization(client(transport, clock=clock, given=given), given, now=NOW)


def acme(**config: Any) -> Organization:
    """An organization with three projects."""
    transport = routed(
        {
            "/organizations/": Reply(200, [ACME]),
            "/organizations/acme/": Reply(200, ACME),
            "/organizations/acme/projects/": Reply(200, [API, OLD, WEB]),
        }
    )
    return organization(transport, **{"organization": "acme", **config})


class TestSlug:
    def test_is_not_asked_for_before_its_first_use(self) -> None:
        transport = Scripted(Reply(200, ACME))
        found = organization(transport, organization="acme")
        assert not transport.requests
        assert [found.slug, found.slug] == ["acme", "acme"]
        assert len(transport.requests) == 1

    def test_is_that_of_the_named_organization(self) -> None:
        assert acme().slug == "acme"

    def test_replaces_an_id_that_was_named(self) -> None:
        assert (
            organization(routed({"/organizations/1/": Reply(200, ACME)}), organization="1").slug
            == "acme"
        )

    def test_is_that_of_the_only_one_the_token_sees(self) -> None:
        assert acme(organization=None).slug == "acme"

    def test_is_looked_for_on_all_pages(self) -> None:
        transport = Scripted(Reply(200, [ACME], link()), Reply(200, [OTHER]))
        with pytest.raises(SettingsError, match="acme, other"):
            organization(transport).slug  # noqa: B018

    def test_must_be_named_where_the_token_sees_several(self) -> None:
        transport = routed({"/organizations/": Reply(200, [OTHER, ACME])})
        with pytest.raises(SettingsError, match=r"acme, other.*TAP_SENTRY_ORGANIZATION"):
            organization(transport).slug  # noqa: B018

    def test_is_missing_where_the_token_sees_none(self) -> None:
        with pytest.raises(SettingsError, match="sees none"):
            organization(routed({"/organizations/": Reply(200, [])})).slug  # noqa: B018

    @pytest.mark.parametrize("status", [403, 404])
    def test_that_cannot_be_read_is_told_with_those_that_can(self, status: int) -> None:
        transport = routed(
            {
                "/organizations/": Reply(200, [ACME, OTHER]),
                "/organizations/acmee/": Reply(status, {"detail": "no"}),
            }
        )
        with pytest.raises(SettingsError, match=rf"'acmee'.*{status}.*acme, other"):
            organization(transport, organization="acmee").slug  # noqa: B018

    @pytest.mark.parametrize("named", ["acme", None])
    def test_that_cannot_even_be_looked_for_stops_the_run(self, named: str | None) -> None:
        # NotAvailable would skip every stream, and the run would end well without a row.
        transport = Scripted(Reply(403, {"detail": "no"}))
        with pytest.raises(SettingsError, match="403"):
            organization(transport, organization=named).slug  # noqa: B018

    def test_is_not_looked_for_with_a_bad_token(self) -> None:
        with pytest.raises(AuthError):
            organization(Scripted(Reply(401)), organization="acme").slug  # noqa: B018


class TestRegion:
    def api_root(self, base_url: str, region: object) -> str:
        row = {**ACME, "links": {"regionUrl": region}}
        found = organization(Scripted(Reply(200, row)), organization="acme", base_url=base_url)
        assert found.slug == "acme"
        return found.client.api_root

    @pytest.mark.parametrize("region", ["https://de.sentry.io", "https://de.sentry.io/"])
    def test_of_sentry_io_is_asked_from_then_on(self, region: str) -> None:
        assert self.api_root("https://sentry.io", region) == "https://de.sentry.io/api/0"

    @pytest.mark.parametrize(
        "region",
        [
            None,
            "",
            "http://us.sentry.io",
            "https://sentry.io",
            "https://evil.example",
            "https://evil.example/.sentry.io",
            "https://evil.example#.sentry.io",
            "https://evil.example?.sentry.io",
            "https://evil.example\\.sentry.io",
            "https://evil.example\\@us.sentry.io",
            "https://us.sentry.io.evil.example",
            "https://us.sentry.io@evil.example",
            "https://evilsentry.io",
            "https://.sentry.io",
            "//us.sentry.io",
            "us.sentry.io",
            "ftp://us.sentry.io",
        ],
    )
    def test_is_believed_only_where_it_is_sentrys_own(self, region: object) -> None:
        assert self.api_root("https://sentry.io", region) == "https://sentry.io/api/0"

    @pytest.mark.parametrize(
        "base_url",
        ["https://sentry.example.com", "https://us.sentry.io", "https://sentry.io.example.com"],
    )
    def test_is_left_alone_everywhere_else(self, base_url: str) -> None:
        assert self.api_root(base_url, "https://de.sentry.io") == f"{base_url}/api/0"

    def test_may_be_missing(self) -> None:
        found = organization(Scripted(Reply(200, OTHER)), organization="other")
        assert found.slug == "other"

    def test_gets_all_later_requests(self) -> None:
        transport = routed(
            {
                "/organizations/acme/": Reply(200, ACME),
                "/organizations/acme/projects/": Reply(200, [WEB]),
            }
        )
        found = organization(transport, organization="acme", base_url="https://sentry.io")
        assert found.projects == [WEB]
        hosts = [urlsplit(url).netloc for url in transport.urls]
        assert hosts == ["sentry.io", "us.sentry.io"]


class TestProjects:
    def slugs(self, **config: Any) -> list[str]:
        return [row["slug"] for row in acme(**config).projects]

    def test_are_all_by_default(self) -> None:
        assert self.slugs() == ["api", "old", "web"]

    def test_are_those_named_by_slug_and_id(self) -> None:
        assert self.slugs(projects=["web", "12"]) == ["api", "web"]

    def test_are_not_those_left_out_by_slug_and_id(self) -> None:
        assert self.slugs(exclude_projects=["old", "12"]) == ["web"]

    def test_are_those_named_less_those_left_out(self) -> None:
        assert self.slugs(projects=["web", "api"], exclude_projects=["12"]) == ["web"]

    @pytest.mark.parametrize("name", ["projects", "exclude_projects"])
    def test_that_are_not_there_stop_the_run(self, name: str) -> None:
        with pytest.raises(SettingsError, match=r"names 99, weeb, but.*acme has api, old, web"):
            self.slugs(**{name: ["weeb", "web", "99"]})

    def test_come_from_all_pages(self) -> None:
        transport = Scripted(
            Reply(200, ACME),
            Reply(200, [API], link("0:1:0")),
            Reply(200, [], link("0:2:0")),
            Reply(200, [WEB]),
        )
        assert organization(transport, organization="acme").projects == [API, WEB]


class TestProjectParams:
    def test_name_all_projects_in_one_word(self) -> None:
        found = acme()
        assert found.project_params == [("project", "-1")]

    def test_name_the_ids_of_the_chosen_ones(self) -> None:
        assert acme(projects=["web", "12"]).project_params == [("project", "12"), ("project", "11")]
        assert acme(exclude_projects=["old"]).project_params == [
            ("project", "12"),
            ("project", "11"),
        ]

    @pytest.mark.parametrize(
        "config",
        [
            {"exclude_projects": ["web", "api", "old"]},
            {"projects": ["web"], "exclude_projects": ["11"]},
        ],
    )
    def test_never_ask_for_all_where_none_is_left(self, config: dict[str, Any]) -> None:
        # Without the parameter Sentry sends the rows of every project.
        with pytest.raises(SettingsError, match="projects"):
            acme(**config).project_params  # noqa: B018


class TestCoverage:
    def test_names_the_organization_and_all_projects_in_one_word(self) -> None:
        assert acme().coverage == "acme:-1"

    def test_names_the_chosen_projects_whatever_their_order(self) -> None:
        first, second = acme(projects=["web", "12"]), acme(projects=["api", "11"])
        assert first.coverage == second.coverage == "acme:11,12"


class TestResolving:
    def test_asks_once_for_what_many_threads_will_want(self) -> None:
        transport = routed(
            {
                "/organizations/acme/": Reply(200, ACME),
                "/organizations/acme/projects/": Reply(200, [API, WEB]),
            }
        )
        found = organization(transport, organization="acme")
        found.resolve()
        assert len(transport.requests) == 2
        with ThreadPoolExecutor(4) as pool:
            slugs = [pool.submit(lambda: (found.slug, found.projects)) for _ in range(20)]
        assert {slug.result()[0] for slug in slugs} == {"acme"}
        assert len(transport.requests) == 2

    def test_leaves_it_to_the_streams_to_say_that_projects_cannot_be_read(self) -> None:
        found = organization(
            routed(
                {
                    "/organizations/acme/": Reply(200, ACME),
                    "/organizations/acme/projects/": Reply(403, {"detail": "no"}),
                }
            ),
            organization="acme",
        )
        found.resolve()
        assert found.slug == "acme"
        with pytest.raises(NotAvailable, match="403"):
            found.projects  # noqa: B018

    def test_stops_where_a_setting_is_wrong(self) -> None:
        with pytest.raises(SettingsError, match="weeb"):
            acme(projects=["weeb"]).resolve()
        with pytest.raises(AuthError):
            organization(Scripted(Reply(401)), organization="acme").resolve()


class TestWhatARunShares:
    def test_is_as_many_threads_per_stream_as_the_setting_says(self) -> None:
        assert acme(max_concurrency=3).feeds.workers == 3

    def test_is_one_report(self) -> None:
        found = acme()
        found.report.skip("deploys", "a parent", NotAvailable("GET answered 404"))
        assert [skipped.stream for skipped in found.report.skipped] == ["deploys"]
