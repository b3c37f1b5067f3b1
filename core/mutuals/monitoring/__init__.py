"""How the agreements of a peer stand, what is owed to whom and until when, and what looks wrong (docs/monitoring.md).

    status = peer_status(peer)
    for finding in status.findings: ...        # most urgent first; each says what it may mean and what to do
    status.overdue                             # whether anything is

Nothing is written, and no passphrase is needed: what is shown comes from the store, the own card and a look at the
bound sources. The facts are collected in ``standing`` and ``duties``; ``rules`` judges them.
"""
