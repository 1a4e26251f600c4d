"""The tap: its settings, its streams and the one organization they share."""

from __future__ import annotations

import difflib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from functools import cached_property
from types import FrameType
from typing import Any, ClassVar

import click
from requests.adapters import BaseAdapter
from singer_sdk import Tap
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TapCapabilities,
)

from tap_sentry import about
from tap_sentry.client import SentryClient
from tap_sentry.errors import AuthError, NotAvailable, SentryError, SettingsError
from tap_sentry.organization import Organization
from tap_sentry.output import BlockWriter, StateKeeper
from tap_sentry.progress import log_trace_context
from tap_sentry.rate_limit import steady_time
from tap_sentry.settings import Settings, config_jsonschema
from tap_sentry.streams import STREAMS, SentryStream

_PLAN = "tap_sentry.plan"


class TapSentry(Tap):
    """Sentry's projects, issues, events, spans, releases and people as Singer streams."""

    name = "tap-sentry"
    config_jsonschema: ClassVar[dict[str, Any]] = config_jsonschema()
    message_writer_class = BlockWriter
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
        clock: Callable[[], float] = steady_time,
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
        if threading.current_thread() is threading.main_thread():
            # The SDK's own handlers write, which may be in the middle of a line, and end with 0.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, _stop)
        if validate_config:
            self.settings  # noqa: B018
            self._warn_of_unknown_settings()

    def setup_mapper(self) -> None:
        # First the streams take a catalog over; the mapper asks the catalog for their keys.
        self.streams  # noqa: B018
        super().setup_mapper()

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
        return Organization(client, self.settings, now=now)

    @cached_property
    def state_writer(self) -> Any:
        """What the streams write STATE with."""
        return StateKeeper(super().state_writer.write_state)

    def discover_streams(self) -> list[SentryStream]:
        return [stream(self, lambda: self.organization) for stream in STREAMS]

    # Final in the SDK's types, and the only place around a whole sync.
    def sync_all(self) -> None:  # type: ignore[misc]
        """Sync the selected streams: all fetch at once, each is written in its turn.

        With `--plan`, only tell what would be asked of Sentry.

        Raises:
            SettingsError: If no stream is selected.
        """
        streams = [stream for stream in self._streams_in_order() if stream.selected]
        if not streams:
            raise SettingsError(
                "No stream is selected. Select some in the catalog, or leave the catalog out."
            )
        organization = self.organization
        command = click.get_current_context(silent=True)
        if command and command.meta.get(_PLAN):
            organization.resolve()
            _tell_plan(streams)
            return
        log_trace_context(os.environ)
        organization.resolve()
        try:
            with organization.report.telling([stream.progress for stream in streams]):
                for stream in streams:
                    stream.start()
                self.state_writer.keep(self.state)  # the SDK writes it first of all
                try:
                    super().sync_all()
                finally:
                    bookmarks = self.state_writer.bookmarks
                    for stream in streams:
                        stream.log_result(bookmarks.get(stream.name, {}))
        finally:
            organization.feeds.close()

    def _warn_of_unknown_settings(self) -> None:
        """A misspelt `mask_pii` must not pass in silence."""
        schema = {**self.config_jsonschema, "properties": {**self.config_jsonschema["properties"]}}
        self.append_builtin_config(schema)
        for name in sorted(self.config.keys() - schema["properties"].keys()):
            likely = difflib.get_close_matches(name, schema["properties"], n=1)
            hint = f": is it {likely[0]}?" if likely else ""
            self.logger.warning("The setting %s is not known and does nothing%s", name, hint)

    def _streams_in_order(self) -> list[SentryStream]:
        return [stream for stream in self.streams.values() if isinstance(stream, SentryStream)]

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
                problem = f"{error} (it needs the scope {stream.scope})"
            findings.append((stream.name, problem))
        return findings

    @classmethod
    def print_about(cls, output_format: str | None = None) -> None:
        """`--about`; as Markdown, the tables that the README has too."""
        if output_format == "markdown":
            click.echo(about.markdown())
        else:
            super().print_about(output_format)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        command.params.append(
            click.Option(
                ["--plan"],
                is_flag=True,
                expose_value=False,
                callback=lambda context, _, wanted: context.meta.update({_PLAN: wanted}),
                help="Tell how many requests a sync would take, on which routes, and how long.",
            )
        )
        return command

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


def _stop(number: int, _: FrameType | None) -> None:
    """End the program as shells know it of a signal; STATE was written behind each window."""
    raise SystemExit(128 + number)


def _tell_plan(streams: Iterable[SentryStream]) -> None:
    """Print what a sync of these streams would ask of Sentry; this only counts."""
    for stream in streams:
        stream.prepare()
        try:
            told = stream.told_plan()
        except NotAvailable as error:
            told = f"{stream.name}: would be skipped: {error}"
        if told:
            click.echo(told)
