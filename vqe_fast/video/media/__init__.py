"""Media files: reading and writing of containers, streams, side data, encoder settings."""
