"""The registry: objects in a folder or a bucket, and the copy in Feast's format."""
