"""Executors: workers that run tasks, as processes of this machine or on a Ray cluster."""
