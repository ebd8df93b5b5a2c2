import pytest
from exercises import CANT_CHECK, NOT_ATTEMPTED, RIGHT, WRONG, Exercise, Mistake, exercise, outcomes


@pytest.fixture
def said(monkeypatch):
    """The texts that are displayed, in order."""
    texts = []
    monkeypatch.setattr(exercise, "display", lambda markdown: texts.append(markdown.data))
    monkeypatch.setattr(exercise, "_REGISTRY", {})
    return texts


@pytest.fixture
def square(said):
    """An exercise: a function that squares."""

    def judge(answer):
        if answer(3) == 6:
            raise Mistake("doubled", "That is twice the number.")
        assert answer(3) == 9

    return Exercise(
        id="99.1",
        title="Squares",
        task="Write `square(x)`.",
        done_when="`square(3)` is 9.",
        judge=judge,
        hints=["Multiply.", "Multiply by itself."],
        solution="`x * x`",
        minutes=3,
        difficulty=2,
    )


def test_a_card_says_what_how_hard_how_long_and_when_it_is_done(square):
    text = square.card().data
    for part in ("99.1", "Squares", "●●○", "3 min", "Write `square(x)`.", "`square(3)` is 9."):
        assert part in text


def test_a_right_answer_is_told_so(square, said):
    square.check(lambda x: x * x)
    assert (square.outcome, square.mistake) == (RIGHT, None)
    assert said[0].endswith("**Right**: `square(3)` is 9.")


def test_a_known_mistake_gets_its_own_hint(square, said):
    square.check(lambda x: 2 * x)
    assert (square.outcome, square.mistake) == (WRONG, "doubled")
    assert said[0].endswith("**Wrong**: That is twice the number.")


def stub(x): ...


def stub_with_docstring(x):
    """Return the square of x."""
    ...


def stub_with_default(x, power=2):
    pass


@pytest.mark.parametrize("answer", [..., None, stub, stub_with_docstring, stub_with_default, lambda x: ...])
def test_an_untouched_stub_is_not_attempted(square, said, answer):
    square.check(answer)
    assert square.outcome == NOT_ATTEMPTED
    assert "**Not attempted**: replace the `...`" in said[0]


@pytest.mark.parametrize(
    "answer",
    [lambda x: x, lambda x: 5, lambda x: True, lambda x: unknown_name, "9", 0, False, []],  # noqa: F821
)
def test_an_answer_that_does_something_is_judged(square, said, answer):
    square.check(answer)
    assert square.outcome in (WRONG, CANT_CHECK)


def test_an_answer_that_raises_names_the_error_and_its_line(square, said):
    def broken(x):
        return x.squared()

    square.check(broken)
    assert square.outcome == CANT_CHECK
    assert "**Can't be checked**: your answer raised `AttributeError: 'int' object" in said[0]
    assert "return x.squared()" in said[0]


def test_each_outcome_has_a_sign_of_its_own(square, said):
    for answer in (lambda x: x * x, lambda x: 2 * x, ..., lambda x: x.squared()):
        square.check(answer)
    assert len({text.split()[0] for text in said}) == 4


def test_a_better_answer_replaces_the_outcome(square, said):
    square.check(lambda x: 2 * x)
    square.check(lambda x: x * x)
    assert (square.outcome, square.mistake) == (RIGHT, None)


def test_hints_come_one_at_a_time_and_end(square, said):
    for _ in range(4):
        square.hint()
    assert said[0].endswith("Hint 1 of 2: Multiply.")
    assert said[1].endswith("Hint 2 of 2: Multiply by itself.")
    assert "last hint" in said[2]
    assert said[3] == said[2]


def test_the_solution_is_shown_on_request_only(square, said):
    square.check(lambda x: 2 * x)
    assert "`x * x`" not in "".join(said)
    square.show_solution()
    assert said[-1].endswith("`x * x`")


def test_outcomes_are_kept_by_id(square):
    assert outcomes() == {"99.1": NOT_ATTEMPTED}
    square.check(lambda x: x * x)
    assert outcomes() == {"99.1": RIGHT}
