"""How a connection authenticates: a closed typed union of small pure modules, sans I/O.

Each module holds a Pydantic spec with `method` as discriminator and a generator over `Request` and
`Response`: it yields the request to send and receives the response, so the same code serves every
client, and a test needs no network. To add a method: one module, one line in a union here.
"""
