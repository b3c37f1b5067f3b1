"""The matching and exchange protocols, sans-I/O: messages in, messages out.

Time, randomness and keys come in as arguments; nothing here knows gRPC, the store or a file. The steps are numbered
as in docs/protocol.md.
"""
