"""The error that everything in this room raises."""

__all__ = ["CheckpointError"]


class CheckpointError(ValueError):
    """A checkpoint that can't be loaded as it is; the message names the file, the reason and the remedy."""
