"""Disks that fail, fill up or lose power: nothing acknowledged is lost, nothing is half done, and a retry works.

``vfs`` stands under the product's own SQLite, ``files`` under its other files; ``acts`` are what is done, ``check``
says what must hold afterwards, ``faults`` lets every write and sync fail in turn, ``power`` cuts the power.
"""
