"""The tests of operators that are worth running on a lower ISA level.

A plugin of pytest, ``-p support.isa_level``, for a process with ``VQE_FAST_ISA``. Of the contract
it leaves what the code for a level can get wrong, of the operators that have code for it.
"""

import os

CHOSEN = ("test_values_and_gradients", "test_vectors", "test_threads_give_the_same_bits")


def pytest_collection_modifyitems(config, items):
    level = os.environ["VQE_FAST_ISA"]
    chosen = [
        item
        for item in items
        if item.name.partition("[")[0] in CHOSEN and level in getattr(item.cls, "isas", ())
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen
