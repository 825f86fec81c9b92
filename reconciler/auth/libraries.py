"""The libraries that some methods need, which not everybody installs.

A table, so that whoever runs a flow can import the library before the clock of a check runs, in a
thread, and so that a missing one is a finding with the line that installs it. Pure: importing is
all that happens here.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Final

from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """What a method imports, and the extra of this package that brings it."""

    module: str
    extra: str


#: Method -> its library.
LIBRARIES: Final = {
    "oauth1": Library(module="authlib.oauth1.rfc5849.signature", extra="oauth"),
    "awsIam": Library(module="botocore.auth", extra="aws"),
    "awsSigV4": Library(module="botocore.auth", extra="aws"),
}


def is_loaded(method: str) -> bool:
    """Whether `load` has nothing left to import for `method`."""
    return method not in LIBRARIES or LIBRARIES[method].module in sys.modules


def load(method: str) -> ModuleType:
    """Returns the library of `method`, a key of `LIBRARIES`, importing it now.

    Raises:
        ConnectionFailed: DriverMissing; the hint is the command that installs it.
    """
    library = LIBRARIES[method]
    try:
        return import_module(library.module)
    except ImportError:
        raise ConnectionFailed(
            Reason.DRIVER_MISSING,
            StageName.AUTH,
            f"the library for the method {method} is not installed here",
            f'install it: `pip install "reconciler[{library.extra}]"`',
        ) from None
