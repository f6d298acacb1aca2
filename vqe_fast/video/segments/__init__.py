"""Segments: a video enhanced part by part, by several processes, resumable, and concatenated."""
