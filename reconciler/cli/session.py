"""What one run of the command line is about: settings, output, environment, clock.

Made in `main`, handed to every command as click's context object. Settings are read when they are
first asked for: `explain` and `completion` work in a folder whose `reconciler.toml` is broken.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from reconciler import config
from reconciler.cli.output import Output
from reconciler.config import Configuration
from reconciler.errors import ConfigError
from reconciler.redact import Redactor
from reconciler.settings import Settings

if TYPE_CHECKING:
    from reconciler.model import Json


class Session:
    """One run: `flags` fills while options are parsed and is read by `configuration`."""

    def __init__(self, *, output: Output, environment: Mapping[str, str]) -> None:
        self.output = output
        self.environment = environment
        self.flags: dict[str, Json] = {}

    @property
    def redactor(self) -> Redactor:
        """The redactor of both output streams; whoever resolves secrets tells it."""
        return self.output.redactor

    @cached_property
    def cwd(self) -> str:
        """The working directory.

        Raises:
            ConfigError: it no longer exists.
        """
        try:
            return os.getcwd()  # noqa: PTH109 - paths are texts everywhere below
        except OSError:
            raise ConfigError("the working directory does not exist any more") from None

    @cached_property
    def configuration(self) -> Configuration:
        """The settings and their file, read once.

        Raises:
            ConfigError: a setting is unknown or wrong.
        """
        configuration = config.load(self.flags, self.environment, self.cwd)
        for password in config.passwords(configuration.settings.state_url):
            self.redactor.add(password)
        for key in configuration.settings.keys:
            self.redactor.add(key.hex())
        return configuration

    @property
    def settings(self) -> Settings:
        """The settings, read once.

        Raises:
            ConfigError: a setting is unknown or wrong.
        """
        return self.configuration.settings

    @property
    def stdin(self) -> BinaryIO | None:
        """Standard input as bytes, None where the process was started without it."""
        return sys.stdin.buffer if sys.stdin else None

    @property
    def is_debugging(self) -> bool:
        """Whether an internal error shows its traceback."""
        return bool(self.output.verbosity or self.environment.get("RECONCILER_DEBUG"))

    def now(self) -> datetime:
        """Returns the time, aware, in UTC."""
        return config.now()
