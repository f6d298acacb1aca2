"""Training data: pristine clips, degradation by real encoders, pairs, windows, loader."""
