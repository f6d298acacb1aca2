"""Storage: files and folders of this machine or of a storage system, by path or URL."""
