"""What the settings of a run check their values with: bounds, examples for messages.

Notebook: 05_training
"""

import dataclasses
import math
from typing import Any

__all__ = ["check_bounds", "example", "shown"]


def check_bounds(setting: dataclasses.Field, value: Any, number: float) -> None:
    """Raise ValueError for a number that is not finite, or out of the bounds of its setting."""
    bounds = setting.metadata
    wanted = [f"above {bounds['above']:g}"] if "above" in bounds else []
    if "low" in bounds:
        wanted += ["above 0" if bounds["low"] == 1 else f"{bounds['low']} or more"]
    wanted += [f"at most {bounds['high']:.10g}"] if "high" in bounds else []
    wrong = not math.isfinite(number) if isinstance(number, float) else False
    wrong = wrong or number <= bounds.get("above", -math.inf) or number < bounds.get("low", -math.inf)
    if wrong or number > bounds.get("high", math.inf):
        what = "give one or more numbers" if isinstance(value, list) else "it must be"
        raise ValueError(
            f"{setting.name} is {shown(value)}: {what} {' and '.join(wanted) or 'finite'}, such as {example(setting)}"
        )


def example(setting: dataclasses.Field) -> str:
    """A value that the setting takes, as in config.yaml."""
    examples = {
        "minutes": "30.0", "rt60": "[0.2, 0.6]", "epoch_size": "2000", "halve_after": "3", "stop_after": "10",
        "blocks": "6", "hidden": "128", "stride": "8", "sample_rate": "16000", "freeze": "[encoder]",
        "speakers": "[ada, bob]", "model": "{n_repeats: 4}", "pair_weights": "{ada+bob: 4}", "flip": "true",
    }  # fmt: skip
    if setting.name in examples:
        return examples[setting.name]
    default = setting.default if setting.default_factory is dataclasses.MISSING else setting.default_factory()
    return (
        "a path" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
    )


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits; a list in itself
        return f"a {type(value).__name__} too large to show"
    return text if len(text) < 80 else f"{text[:60]}..."
