"""Frames: planes, pixel formats, colours, scene cuts, duplicates, and their tensors."""
