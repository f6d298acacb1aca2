"""Training: degradation by real encoders, windows of frames, recipes and the training loop."""
