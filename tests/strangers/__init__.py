"""Peers that nobody lets in, each over a real port against the real server, and servers that nobody believes.

    from strangers.rows import rows
    for row in rows():
        print(row.name, row.stopped_where, row.code, row.left_the_house)

``house`` sets up the companies, ``visits`` are attempts on the house's server, ``impostors`` are servers that pose as
a partner's, ``rows`` carries all of them out.
"""

# Before anything here imports gRPC, which reads its settings once: see mutuals.transport.
import mutuals.transport  # noqa: F401
