"""An exercise made of a section of a sheet: card, verdicts, hints, solution; and what the loader refuses."""

import pytest
from exercises import CANT_CHECK, NOT_ATTEMPTED, RIGHT, WRONG, Exercise, Mistake, Verdict, exercise, outcomes

SECTION = """99.1 Squares

`square` · difficulty 2 of 3 · 3 minutes · after section 4

Write `my_square(x)`.

**Done when** `my_square(3)` is 9.

### Hints

1. Multiply.
2. Multiply
   by itself.

### Solution

```python
def my_square(x):
    return x * x
```

### Also right

```python
lambda x: x**TWO
```

### Typical mistakes

```python
def plus(n):
    return lambda x: my_square(x) + n
```

- **doubled**: That is twice the number,
  {found}.
  ```python
  lambda x: 2 * x
  lambda x: x + x
  ```
- **one more**: One too many.
  ```python
  plus(1)
  ```

### Other mistakes

- **not a number**: … Return an int.
  ```python
  def answer(x):
      return "nine"
  ```
"""


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

    def check(answer, square):
        for name, wrong in square.known.items():
            if answer(3) == wrong(3):
                raise Mistake(name, found=answer(3))
        if isinstance(answer(3), str):
            raise Mistake("not a number", found=answer(3))
        assert answer(3) == square.right(3)

    return Exercise(SECTION, check, setup="TWO = 2")


def test_a_section_is_read(square):
    assert (square.id, square.title, square.name) == ("99.1", "Squares", "square")
    assert (square.difficulty, square.minutes, square.after) == (2, 3, "section 4")
    assert square.task == "Write `my_square(x)`."
    assert square.done_when == "`my_square(3)` is 9."
    assert square.hints == ["Multiply.", "Multiply by itself."]


def test_the_code_of_a_section_is_run(square):
    assert square.right(5) == 25
    assert [answer(5) for answer in square.also_right] == [25]
    assert {name: wrong(5) for name, wrong in square.known.items()} == {"doubled": 10, "one more": 26}
    assert [(name, answer(5)) for name, answer in square.wrong_answers] == [
        ("doubled", 10), ("doubled", 10), ("one more", 26), ("not a number", "nine"),
    ]  # fmt: skip


def test_values_fill_a_hint_and_a_shared_hint_is_continued(square):
    assert square.hint_for("doubled", found=6) == "That is twice the number, 6."
    assert (
        square.hint_for("not a number", found="'nine'")
        == "your answer is 'nine', not a number. Return an int."
    )
    assert square.hint_for("wrong shape", found=[1], wanted=[2]) == "your result has shape [1], expected [2]."
    with pytest.raises(KeyError, match=r"neither the sheet of 99\.1 nor"):
        square.hint_for("no such mistake")


def test_a_section_without_a_card_is_refused(said):
    with pytest.raises(ValueError, match="an exercise begins with id, title, card"):
        Exercise("99.2 Cubes\n\nno card\n\n### Hints\n\n1. a\n\n### Solution\n\n`x`\n", lambda *_: None)


def test_a_check_without_a_section_is_refused(monkeypatch):
    def unknown(answer, exercise): ...

    monkeypatch.setattr(unknown, "__module__", "exercises.nb01")
    from exercises import nb01  # noqa: F401, the module whose sheet is read

    with pytest.raises(LookupError, match=r"nb01\.md has no exercise `unknown`"):
        exercise.sheet_exercise(unknown)


def test_a_card_says_what_how_hard_how_long_and_when_it_is_done(square):
    text = square.card().data
    for part in (
        "99.1", "Squares", "●●○", "3 min", "after section 4", "Write `my_square(x)`.", "`my_square(3)` is 9.",
    ):  # fmt: skip
        assert part in text


def test_judging_shows_and_remembers_nothing(square, said):
    assert square.judge(lambda x: 2 * x) == Verdict(WRONG, "doubled", "That is twice the number, 6.")
    assert square.judge(lambda x: x * x) == Verdict(RIGHT, None, "`my_square(3)` is 9.")
    assert (square.outcome, square.mistake, said) == (NOT_ATTEMPTED, None, [])


def test_a_right_answer_is_confirmed(square, said):
    square.check(lambda x: x * x)
    assert (square.outcome, square.mistake) == (RIGHT, None)
    assert said[0].endswith("**Right**: `my_square(3)` is 9.")


def test_a_known_mistake_gets_its_own_hint(square, said):
    square.check(lambda x: 2 * x)
    assert (square.outcome, square.mistake) == (WRONG, "doubled")
    assert said[0].endswith("**Wrong**: That is twice the number, 6.")


def stub(x): ...


def stub_with_docstring(x):
    """Return the square of x."""
    ...


def stub_with_default(x, power=2):
    pass


@pytest.mark.parametrize("answer", [..., None, stub, stub_with_docstring, stub_with_default, lambda x: ...])
def test_an_unchanged_stub_is_not_attempted(square, said, answer):
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
    square.card()
    square.hint()
    assert "x * x" not in "".join(said)
    square.show_solution()
    assert "```python\ndef my_square(x):\n    return x * x\n```" in said[-1]


def test_outcomes_are_kept_by_id(square):
    assert outcomes() == {"99.1": NOT_ATTEMPTED}
    square.check(lambda x: x * x)
    assert outcomes() == {"99.1": RIGHT}


def test_a_class_whose_forward_is_a_stub_is_not_attempted(square):
    class Stub:
        def __init__(self, sizes):
            super().__init__()

        def forward(self, x): ...

    class Written(Stub):
        def forward(self, x):
            return x

    assert square.judge(Stub).outcome == NOT_ATTEMPTED
    assert square.judge(Written).outcome != NOT_ATTEMPTED


def test_a_notebook_goes_on_with_a_right_answer_or_with_the_solution(square, said):
    def mine(x):
        return x**2

    assert square.use(mine) is mine
    assert square.use(lambda x: 2 * x) is square.right
    assert square.use(...) is square.right
    assert said == ["`mine`: yours."] + 2 * ["`my_square`: the solution's, as long as yours is not right."]


def test_the_solution_is_given_with_the_students_parts(said):
    section = SECTION.replace("    return x * x\n", "    return TIMES(x, x)\n")
    exercise = Exercise(section, lambda answer, exercise: None, setup="TWO = 2\nTIMES = lambda a, b: a * b")
    calls = []

    def times(a, b):
        calls.append((a, b))
        return a * b

    assert exercise.right(3) == 9 and not calls
    assert exercise.use(..., TIMES=times)(3) == 9 and calls == [(3, 3)]
    assert exercise.right(3) == 9 and len(calls) == 1  # the sheet's own solution is as it was
