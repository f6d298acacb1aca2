"""A video in segments that are enhanced one by one, by several processes, and joined."""
