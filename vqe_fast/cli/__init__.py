"""The command-line program ``vqe-fast``: one file per command."""
