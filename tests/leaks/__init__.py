"""No planted identifier ever turns up where it must not, whatever fails.

``planted`` says what is looked for, ``stage`` plays the product's commands against its server, ``inject`` makes any
one call in them fail with an exception that quotes what was planted, ``check`` says what must hold afterwards.
"""

# Before anything here imports gRPC, which reads its settings once: see mutuals.transport.
import mutuals.transport  # noqa: F401
