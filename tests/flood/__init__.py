"""One partner, or a stranger, floods a real server, while another partner goes on with its work.

    PYTHONPATH=tests python -m flood

``floods`` are what a flooder does, ``flooder`` is its process, ``honest`` measures the other partner, ``world`` sets
everything up, ``__main__`` plays all floods and prints the table.
"""

# Before anything here imports gRPC, which reads its settings once: see mutuals.transport.
import mutuals.transport  # noqa: F401
