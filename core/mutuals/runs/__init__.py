"""What a peer does in a run, in either role: guards, the drivers of the protocols, records, export.

Joins protocol, store, sources and agreement; knows nothing of gRPC: partners are reached through
``mutuals.runs.ports.MessageStream``.
"""
