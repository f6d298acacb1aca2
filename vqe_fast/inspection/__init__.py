"""Inspection of a compressed video: frames, bits and QPs, as a table, a picture or JSON."""
