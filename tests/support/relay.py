"""A relay on loopback between two peers: it counts the bytes each way, TLS and all, and can cut the line."""

from __future__ import annotations

import contextlib
import socket
import threading


class Relay:
    """Listens on a free port of 127.0.0.1 and passes everything on to ``target`` (a port there)."""

    def __init__(self) -> None:
        self.target = 0
        self.there = 0
        """Bytes from whoever calls to the target."""
        self.back = 0
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def moved(self) -> int:
        """Bytes both ways."""
        return self.there + self.back

    def cut(self) -> None:
        """Break every connection there is; new ones are taken."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more calls."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            try:
                callee = socket.create_connection(("127.0.0.1", self.target))
            except OSError:  # nobody there at the moment
                caller.close()
                continue
            self._open |= {caller, callee}
            threading.Thread(target=self._pass, args=(caller, callee, "there"), daemon=True).start()
            threading.Thread(target=self._pass, args=(callee, caller, "back"), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        try:
            while data := source.recv(1 << 18):
                setattr(self, way, getattr(self, way) + len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            sink.close()
        finally:
            self._open.discard(source)
