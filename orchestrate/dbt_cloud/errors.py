"""What stops the work with dbt Cloud."""

from __future__ import annotations


class DbtCloudError(Exception):
    """The message says what was asked, what is wrong and what to do, in one line; no secret."""


class MissingError(DbtCloudError):
    """dbt Cloud does not have it, or the token may not see it."""


class BrokenAnswerError(DbtCloudError):
    """The answer came, and is not JSON, however often it was asked for."""
