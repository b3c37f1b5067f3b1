"""Throughput of the engines, on one core: ``make bench``. Each also runs once as a test."""

from __future__ import annotations

import os

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mutuals.engines import engine_names, get_engine

ITEMS = 2000


@pytest.mark.parametrize("name", engine_names())
def test_blind(benchmark: BenchmarkFixture, name: str) -> None:
    engine = get_engine(name)
    points = benchmark(engine.blind, engine.generate_key(), os.urandom(32 * ITEMS))
    assert len(points) == ITEMS * engine.point_size


@pytest.mark.parametrize("name", engine_names())
def test_reblind(benchmark: BenchmarkFixture, name: str) -> None:
    engine = get_engine(name)
    points = engine.blind(engine.generate_key(), os.urandom(32 * ITEMS))
    assert len(benchmark(engine.reblind, engine.generate_key(), points)) == len(points)


@pytest.mark.parametrize("name", engine_names())
def test_check_points(benchmark: BenchmarkFixture, name: str) -> None:
    engine = get_engine(name)
    benchmark(engine.check_points, engine.blind(engine.generate_key(), os.urandom(32 * ITEMS)))
