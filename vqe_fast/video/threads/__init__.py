"""Threads: bounded channels between them, stages that run at the same time, and their timings."""
