"""Data: pristine clips, their degradation by real encoders, and pairs of both, prepared on disk."""
