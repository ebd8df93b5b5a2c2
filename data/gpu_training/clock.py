"""The learning rate by the clock: borrowed time ends when it ends, however many steps were made."""

import time


class Clock:
    """Seconds of a training that may take several calls.

    Args:
        total: seconds at which the training is over, all calls together.
        warmup, cooldown: seconds of the rise from zero and of the straight fall to zero.
        before: seconds of earlier calls.
        began: ``time.monotonic()`` at the start of this one.
    """

    def __init__(
        self, total: float, warmup: float, cooldown: float, before: float = 0.0, began: float | None = None
    ):
        self.total, self.warmup, self.cooldown, self.before = total, warmup, cooldown, before
        self.began = time.monotonic() if began is None else began
        self.rose = before  # where the warm-up of this call begins
        self.reserve = 0.0  # seconds that the end of the call needs

    def seconds(self) -> float:
        """Of all calls, until now."""
        return self.before + time.monotonic() - self.began

    def start(self) -> None:
        """The steps of this call begin now."""
        self.rose = self.seconds()

    def left(self) -> float:
        """Seconds in which steps can still be made."""
        return self.total - self.reserve - self.seconds()

    def factor(self) -> float:
        """Of the learning rate now, 0 to 1."""
        rise = (self.seconds() - self.rose) / self.warmup if self.warmup > 0 else 1.0
        fall = self.left() / self.cooldown if self.cooldown > 0 else 1.0
        return max(0.0, min(1.0, max(rise, 0.01), fall))
