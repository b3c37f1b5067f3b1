"""Both companies, the network and everything that goes wrong with it, in one process, in an order that a seed decides.

``schedule`` gives the turn to one thread after the other, ``network`` carries and loses calls, ``disk`` keeps store and
files, ``faults`` says what goes wrong and when, ``dice`` where random bytes come from; ``company`` is one side with its
server, ``play`` what people do, ``check`` what must hold in the end. ``make simulate SEEDS=10000`` plays as many; a
failure prints its seed, and ``python -m simulation --replay SEED -v`` plays that one again, step by step the same.

Real are all of the product's functions above the transport, up to the client's commands: ``mutuals match`` finds what
was interrupted and goes on with it, as it does for a person. Not real are gRPC and TLS (a stream is reliable and in
order until it breaks), the time, the system's randomness, and SQLite's file (``lifecycle.memory``).
"""
