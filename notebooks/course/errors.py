"""What goes wrong when a course is built."""

__all__ = ["CourseError"]


class CourseError(RuntimeError):
    """The course can't be built; the message says why, and what to do."""
