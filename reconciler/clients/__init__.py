"""From a spec and its secrets to a ready client: HTTP, SQL, TLS, and which addresses are allowed.

Foreign exceptions are translated here, by tables, into `ConnectionFailed`; nothing above sees a
library's own error or its text.
"""
