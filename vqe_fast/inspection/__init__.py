"""How a video was compressed: frames, bits and QPs, as a table, a picture or JSON."""
