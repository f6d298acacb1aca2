"""Inference on frames: loading, memory, tiling, and a runner for each kind of model."""
