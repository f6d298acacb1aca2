"""Benchmarks: implementations timed side by side, their records and tables."""
