"""The pipeline of an enhancement: analysis, enhancement and encoding of a stream of items."""
