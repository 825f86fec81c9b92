"""What a failure means to a user, in the one shape of all tables here: reason, sentence, hint.

Below the modules that keep a table (`tls`, `tcp`, `attempt`, `http`, `sql_errors` and the drivers).
The stage is not part of a meaning, since one cause can end different stages.
"""

from __future__ import annotations

from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What an error code, an errno or a time-out says about a connection."""

    reason: Reason
    #: one sentence, lower case, no full stop
    message: str
    hint: str = ""

    def at(self, stage: StageName) -> ConnectionFailed:
        """Returns it as the exception of a connection that failed at `stage`."""
        return ConnectionFailed(self.reason, stage, self.message, self.hint)


#: What it means that time ran out on the way, the same for every client.
TUNNEL_LATE = Meaning(
    reason=Reason.TUNNEL_FAILURE,
    message="the SSH server does not finish the login in time",
    hint="check host and port of `ssh`, and that a firewall between lets the connection through",
)
#: The same for a tunnel that ended on the way.
TUNNEL_BROKEN = Meaning(
    reason=Reason.TUNNEL_FAILURE,
    message="the SSH connection broke before the server had answered",
    hint="look into the log of the SSH server, and whether something between ends connections",
)
PROXY_LATE = Meaning(
    reason=Reason.PROXY_FAILURE,
    message="the proxy does not open the connection in time",
    hint="check `proxy.url`, and that the proxy can reach the server",
)
