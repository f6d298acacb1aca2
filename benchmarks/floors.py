"""The floors of the package, from below: ``tests/test_floors.py`` keeps to them.

A module imports from its own room or from a floor below it, never from above.
``benchmarks/plot_architecture.py`` draws them.
"""

PACKAGES = [
    {
        "_atomic_write",
        "_machine",
        "_memory",
        "_precision",
        "_suggest",
        "_version",
        "_whole_number",
        "reference",
    },
    {"storage"},
    {"kernels"},
    {"ops"},
    {"_info", "nn", "weights"},
    {"models", "executors"},
    {"video", "metrics"},
    {"data"},
    {"training", "comparison", "inspection", "bench"},
    {"evaluation", "demonstration"},
    {"cli"},
]
"""Modules and packages directly in ``vqe_fast``."""

VIDEO = [
    {"errors", "quality"},
    {"look", "options"},
    {"frames", "threads"},
    {"media", "inference"},
    {"qp"},
    {"interlacing", "pipeline"},
    {"report"},
    {"events", "session"},
    {"segments"},
    {"enhance", "enhance_many", "estimate"},
]
"""Modules and packages directly in ``vqe_fast.video``."""
