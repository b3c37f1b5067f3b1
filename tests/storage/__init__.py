"""Disks that fail, fill up or lose power: nothing acknowledged is lost, nothing is half done, and a retry works.

``vfs`` stands under the product's own SQLite, ``files`` under its other files; ``acts`` are what is done, ``check``
says what must hold afterwards, ``faults`` lets every write and sync fail in turn, ``cut_store`` and ``cut_match`` cut
the power as ``power`` models it, ``real`` fills a disk and locks a store in earnest.

What is real: the product's connections, pragmas, statements and files; the functions through which SQLite reaches the
disk are replaced in the library that Python's ``sqlite3`` uses, so result codes are SQLite's own reaction. What is
modelled: that a disk keeps what was synced, and of the rest any sectors or names. ``HomeDisk`` learns of syncs, not of
each write; what was not synced it takes from the folder. Not covered: PostgreSQL's files, a disk that lies about syncs.
"""
