"""The engines that this machine can run, for tests that run over each: openmined-psi has no wheel for some."""

from __future__ import annotations

import importlib.util

import pytest

OPENMINED_RUNS = importlib.util.find_spec("private_set_intersection") is not None
ENGINES = ("x25519", "openmined") if OPENMINED_RUNS else ("x25519",)

needs_openmined = pytest.mark.skipif(not OPENMINED_RUNS, reason="no openmined-psi here")
EACH_ENGINE = ("x25519", pytest.param("openmined", marks=needs_openmined))
"""Both, as parameters of a test."""
