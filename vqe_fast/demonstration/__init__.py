"""The demonstration: real footage compressed hard, enhanced, and both side by side."""
