"""Where a peer keeps what must survive: documents, log, runs, ciphertext. Only this part knows the database.

    store = Store.open("sqlite:////home/acme/mutuals/store.db")
    with store.transaction() as tx:
        tx.partners.put(partner)
    store.close()

``mutuals.store.database`` has ``Store`` and ``Transaction``, ``mutuals.store.rows`` the rows.
"""
