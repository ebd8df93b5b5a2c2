"""What the tests of all exercises share: how a named mistake is told."""

import re

import pytest
from exercises import WRONG


@pytest.fixture
def fails_with():
    """``fails_with(exercise, mistake, answer, hint)``: the answer is wrong, for this reason, with this hint."""

    def check(exercise, mistake, answer, hint=None):
        exercise.check(answer)
        assert (exercise.outcome, exercise.mistake) == (WRONG, mistake)
        if hint:
            with pytest.raises(Exception, match=re.escape(hint)):
                exercise.judge(answer)

    return check
