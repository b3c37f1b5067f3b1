"""gRPC reads its settings once, so they are made before whatever of ours is imported first has imported it."""

from __future__ import annotations

import subprocess
import sys

import pytest

CHECK = """
import sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "grpc":
            import os
            print(os.environ.get("GRPC_SSL_CIPHER_SUITES"), os.environ.get("GRPC_VERBOSITY"))
sys.meta_path.insert(0, Watch())
import {module}
"""


@pytest.mark.parametrize(
    "module",
    [
        "mutuals_server.__main__",
        "mutuals_server.guard",
        "mutuals_server.serve",
        "mutuals.transport.status",
        "mutuals.transport.connection",
        "mutuals.transport.sync",
    ],
)
def test_settings_come_before_grpc(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECK.format(module=module)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["ECDHE-RSA-AES128-GCM-SHA256", "NONE"]
