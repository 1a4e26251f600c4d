"""The tap: its settings, its streams and the one organization they share."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, ClassVar

import click
from requests.adapters import BaseAdapter
from singer_sdk import Tap
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TapCapabilities,
)

from tap_sentry.client import SentryClient
from tap_sentry.errors import AuthError, SentryError, SettingsError
from tap_sentry.organization import Organization
from tap_sentry.settings import Settings, config_jsonschema
from tap_sentry.streams import STREAMS, SentryStream


class TapSentry(Tap):
    """Sentry's projects, issues, events, spans, releases and people as Singer streams."""

    name = "tap-sentry"
    config_jsonschema: ClassVar[dict[str, Any]] = config_jsonschema()
    message_writer_class = MsgSpecWriter
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    def __init__(
        self,
        *,
        validate_config: bool = True,
        transport: BaseAdapter | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        **kwargs: Any,
    ) -> None:
        """See `Tap` and, for `transport`, `clock` and `sleep`, `SentryClient`.

        Raises:
            SettingsError: If a setting is wrong.
        """
        self._transport, self._clock, self._sleep = transport, clock, sleep
        # Settings.check says what is wrong and what to do; the SDK's own check only the former.
        super().__init__(validate_config=False, **kwargs)
        if validate_config:
            self.settings  # noqa: B018

    @cached_property
    def settings(self) -> Settings:
        return Settings.check(self.config)

    @cached_property
    def organization(self) -> Organization:
        """The organization to read; nothing is asked of Sentry before its first use."""
        client = SentryClient(
            self.settings, transport=self._transport, clock=self._clock, sleep=self._sleep
        )
        now = datetime.fromtimestamp(self._clock(), tz=timezone.utc)
        return Organization(client, self.settings, now=now, stream_count=len(STREAMS))

    def discover_streams(self) -> list[SentryStream]:
        return [stream(self, lambda: self.organization) for stream in STREAMS]

    def check(self) -> list[tuple[str, str]]:
        """Each stream with what stands in the way of reading it, empty if nothing does.

        Raises:
            SettingsError: If the organization is not there.
            AuthError: If Sentry does not accept the token.
        """
        findings = []
        for stream in self.discover_streams():
            problem = ""
            try:
                stream.probe()
            except (AuthError, SettingsError):
                raise
            except SentryError as error:
                problem = f"needs the scope {stream.scope}: {error}"
            findings.append((stream.name, problem))
        return findings

    @classmethod
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """`--test`: a real check of token, organization and scopes instead of a short sync."""
        if value != "all":
            super().cb_test(ctx, param, value)
            return
        given = ctx.params["config"]
        tap = cls(config=given.config, parse_env_config=given.parse_env)
        findings = tap.check()
        click.echo(f"Organization {tap.organization.slug} at {tap.organization.client.api_root}")
        for name, problem in findings:
            click.echo(f"  {name:<16} {problem or 'ok'}")
        ctx.exit(1 if any(problem for _, problem in findings) else 0)
