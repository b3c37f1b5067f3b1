"""The side-by-side comparison: ``make bench-compare``. See docs/benchmarks.md for what was measured."""
