"""Authentication that sends nothing, for kinds of every sort.

A method of its own and the default, so that every normal spec says how it authenticates; pure.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reconciler.auth.exchange import Flow, Moment, Request, Secrets
from reconciler.auth.spec_model import SpecModel


class NoneAuth(SpecModel):
    """No credential is sent."""

    method: Literal["none"] = Field(description="Sends no credential.")

    def flow(self, request: Request, secrets: Secrets, moment: Moment) -> Flow:  # noqa: ARG002 -- it has none
        """Yields `request` as it is."""
        yield request
