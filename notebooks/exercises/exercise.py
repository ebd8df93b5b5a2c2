"""One exercise: a section of a teacher's sheet, and the function that judges an answer.

The sheet of notebook NN is ``nbNN.md``; the module ``nbNN.py`` beside it holds the checks. A section of a sheet::

    ## 03.1 SI-SDR by hand
    `si_sdr` · difficulty 2 of 3 · 10 minutes · after section 6
    the task
    **Done when** the condition that the check tests
    ### Hints              a numbered list, from a first idea to nearly the answer
    ### Solution           one block of code, whose last definition is the answer
    ### Also right         optional: other right answers
    ### Typical mistakes   entries; an answer that returns the same as the code of one gets the hint of that one
    ### Other mistakes     entries; the check itself finds these, by a rule

An entry is ``- **name**: hint`` with a block of code: wrong answers that must get this hint. Each expression in
the block is one; a block of definitions alone holds one, the last. Code of a section sees the setup block at the
top of the sheet, the section's solution, and the block before its first typical mistake. ``{name}`` in a hint is
replaced by a value from the check. A hint that begins with "…" continues the text in ``judging.md``, which is also
the hint of a mistake that the section does not list.

Notebook: 01_encoder_decoder (first use)
"""

import ast
import inspect
import re
import sys
import textwrap
import traceback
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from IPython.display import Markdown, display

__all__ = [
    "CANT_CHECK", "NOT_ATTEMPTED", "RIGHT", "WRONG",
    "Exercise", "Mistake", "Verdict", "outcomes", "sheet_exercise",
]  # fmt: skip

RIGHT, WRONG = "right", "wrong"
NOT_ATTEMPTED, CANT_CHECK = "not attempted", "can't be checked"
_SIGNS = {RIGHT: "✅", WRONG: "❌", NOT_ATTEMPTED: "○", CANT_CHECK: "⚠️"}

_HEAD = re.compile(
    r"(?P<id>\d\d[a-z]?\.\d\d?) (?P<title>.+)\n+`(?P<name>\w+)` · difficulty (?P<difficulty>[123]) of 3 · "
    r"(?P<minutes>\d+) minutes · after (?P<after>.+)\n(?P<task>[\s\S]+?)\n\*\*Done when\*\* (?P<done_when>[\s\S]+)"
)
_CODE = re.compile(r"^ *```python\n([\s\S]*?)^ *```", re.MULTILINE)

_REGISTRY: dict[str, "Exercise"] = {}


def outcomes() -> dict[str, str]:
    """Outcome of every exercise imported in this session, by its id."""
    return {key: exercise.outcome for key, exercise in _REGISTRY.items()}


class Mistake(Exception):
    """Raised by a check: the answer is wrong for the reason ``name``; ``values`` fill the places of its hint."""

    def __init__(self, name: str, /, **values: object):
        super().__init__(name)
        self.name, self.values = name, values


class Verdict(NamedTuple):
    """How an answer was judged: one of the four outcomes, the name of a mistake, and what to tell the student."""

    outcome: str
    mistake: str | None = None
    hint: str = ""


class Exercise:
    """A question with an automatic check.

    Args:
        section: its section of the sheet, Markdown without the leading ``##``.
        check: takes the answer and this exercise, returns when the answer is right and raises :class:`Mistake`
            when it is wrong.
        setup: code that all code of the section may use.

    An answer of ``...`` or None, a function whose body is only ``...``, or a class whose ``forward`` is one, counts as
    not attempted.
    """

    def __init__(self, section: str, check: Callable[[Any, "Exercise"], None], setup: str = ""):
        head, *parts = re.split(r"^### (.+)\n", section, flags=re.MULTILINE)
        text = dict(zip(parts[::2], parts[1::2], strict=True))
        card = _HEAD.match(head)
        if card is None:
            raise ValueError(
                f"an exercise begins with id, title, card, task and 'Done when', not with {head[:80]!r}"
            )
        self.id, self.title, self.name, self.after = card["id"], card["title"], card["name"], card["after"]
        self.difficulty, self.minutes = int(card["difficulty"]), int(card["minutes"])
        self.task, self.done_when = card["task"].strip(), _one_line(card["done_when"])
        self.hints = [_one_line(hint) for hint in re.split(r"^\d\. ", text["Hints"], flags=re.MULTILINE)[1:]]
        self.solution = text["Solution"].strip()
        self.outcome, self.mistake = NOT_ATTEMPTED, None  # of the last check
        self.setup = setup  # code that all code of the section may use
        self._check, self._hints_shown = check, 0
        self._helpers, self._typical = _entries(text.get("Typical mistakes", ""))
        self._entries = self._typical | _entries(text.get("Other mistakes", ""))[1]
        self._also_right = _code(text.get("Also right", ""))
        _REGISTRY[self.id] = self

    def card(self) -> Markdown:
        """The task, its difficulty, the minutes, the section that it needs, and when it is done."""
        return Markdown(
            f"**Exercise {self.id}: {self.title}** &nbsp; {'●' * self.difficulty}{'○' * (3 - self.difficulty)} "
            f"&nbsp; about {self.minutes} min &nbsp; after {self.after}\n\n{self.task}\n\n*Done when:* {self.done_when}"
        )

    def judge(self, answer: Any) -> Verdict:
        """Outcome, mistake and hint for an answer; nothing is shown or remembered."""
        if _untouched(answer):
            return Verdict(
                NOT_ATTEMPTED, hint="replace the `...` with your answer, then run this cell again."
            )
        try:
            self._check(answer, self)
        except Mistake as mistake:
            return Verdict(WRONG, mistake.name, self.hint_for(mistake.name, **mistake.values))
        except Exception as error:  # a student's code may raise anything; the notebook must go on
            last = traceback.extract_tb(error.__traceback__)[-1]
            return Verdict(
                CANT_CHECK,
                hint=f"your answer raised `{type(error).__name__}: {error}` (line {last.lineno}: `{last.line}`).",
            )
        return Verdict(RIGHT, hint=self.done_when)

    def check(self, answer: Any) -> None:
        """Judge an answer, remember the outcome and the mistake, and show the verdict."""
        self.outcome, self.mistake, text = self.judge(answer)
        display(Markdown(f"{_SIGNS[self.outcome]} **{self.outcome[0].upper()}{self.outcome[1:]}**: {text}"))

    def hint(self) -> None:
        """Show the next hint."""
        if self._hints_shown == len(self.hints):
            display(Markdown("That was the last hint; `.show_solution()` shows the answer."))
            return
        self._hints_shown += 1
        display(
            Markdown(f"💡 Hint {self._hints_shown} of {len(self.hints)}: {self.hints[self._hints_shown - 1]}")
        )

    def show_solution(self) -> None:
        """Show the solution."""
        display(Markdown(f"**Solution of {self.id}**\n\n{self.solution}"))

    def use(self, answer: Any, **parts: Any) -> Any:
        """The answer if it is right, otherwise the solution; says which, so that a notebook can build on it.

        Args:
            answer: the student's function or class.
            **parts: what the solution's code calls by these names, in place of the sheet's own: parts that were
                returned by this method, so that a solution works with the student's parts.
        """
        if self.judge(answer).outcome == RIGHT:
            display(Markdown(f"`{getattr(answer, '__name__', self.right.__name__)}`: yours."))
            return answer
        display(Markdown(f"`{self.right.__name__}`: the solution's, as long as yours is not right."))
        return self._defined(parts)

    # What the sheet says, for the check and for tests

    @cached_property
    def right(self) -> Any:
        """The answer in the solution: a function, or a value."""
        return self._defined({})

    @cached_property
    def known(self) -> dict[str, Any]:
        """Typical mistakes: name to the first wrong answer, with whose results an answer is compared."""
        return {name: _answers(code, self._scope)[0] for name, (_, code) in self._typical.items()}

    @cached_property
    def also_right(self) -> list[Any]:
        """Other right answers."""
        return _answers(self._also_right, self._scope)

    @cached_property
    def wrong_answers(self) -> list[tuple[str, Any]]:
        """Every wrong answer of the sheet with the name of its mistake."""
        return [
            (name, wrong)
            for name, (_, code) in self._entries.items()
            for wrong in _answers(code, self._scope)
        ]

    @property
    def solution_code(self) -> str:
        """The code of the solution, without the text around it."""
        return _code(self.solution)

    @property
    def wrong_code(self) -> list[tuple[str, str]]:
        """The mistake and the code of every wrong answer: each expression, or definitions, with what they call."""
        found = []
        for name, (_, code) in self._entries.items():
            nodes = [node for node in ast.parse(code).body if isinstance(node, ast.Expr)]
            sources = [ast.unparse(node) for node in nodes] or [code]
            definitions = (
                ""
                if not nodes
                else "".join(f"{ast.unparse(node)}\n" for node in ast.parse(code).body if node not in nodes)
            )
            found += [(name, f"{self._helpers}\n{definitions}{source}") for source in sources]
        return found

    def hint_for(self, mistake: str, /, **values: object) -> str:
        """The hint of a mistake, with the values in their places."""
        own, shared = self._entries.get(mistake, ("…", ""))[0], _shared_hints().get(mistake, ("", ""))[0]
        text = f"{shared} {own[1:].lstrip()}".strip() if own.startswith("…") else own
        if not text:
            raise KeyError(f"neither the sheet of {self.id} nor judging.md has a mistake {mistake!r}")
        return re.sub(r"\{(\w+)\}", lambda place: str(values.get(place[1], place[0])), text)

    @cached_property
    def _scope(self) -> dict[str, Any]:
        return self._run({})

    def _run(self, parts: dict[str, Any]) -> dict[str, Any]:
        """The names that the code of the section defines; ``parts`` replace names of the setup."""
        scope: dict[str, Any] = {"__name__": "solution"}
        exec(self.setup, scope)
        scope |= parts
        for code in (_code(self.solution), self._helpers):
            exec(code, scope)
        return scope

    def _defined(self, parts: dict[str, Any]) -> Any:
        scope = self._run(parts) if parts else self._scope
        return scope[_last_name(ast.parse(_code(self.solution)))]


def sheet_exercise(check: Callable[[Any, Exercise], None]) -> Exercise:
    """Decorator: the exercise with this function's name on the sheet beside its module, checked by the function."""
    path = Path(sys.modules[check.__module__].__file__).with_suffix(".md")
    setup, sections = _read(path)
    for section in sections:
        if f"\n`{check.__name__}` ·" in section:
            return Exercise(section, check, setup)
    raise LookupError(
        f"{path.name} has no exercise `{check.__name__}`: its card line must begin with that name"
    )


@cache
def _read(path: Path) -> tuple[str, list[str]]:
    """The setup code of a sheet and its sections."""
    head, *sections = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return _code(head), sections


@cache
def _shared_hints() -> dict[str, tuple[str, str]]:
    return _entries(Path(__file__).with_name("judging.md").read_text(encoding="utf-8"))[1]


def _entries(text: str) -> tuple[str, dict[str, tuple[str, str]]]:
    """The code before the first entry, and the hint and the code of each entry by its name."""
    intro, *rest = re.split(r"^- \*\*(.+?)\*\*: ", text, flags=re.MULTILINE)
    bodies = zip(rest[::2], rest[1::2], strict=True)
    return _code(intro), {name: (_one_line(body.partition("```")[0]), _code(body)) for name, body in bodies}


def _code(text: str) -> str:
    found = _CODE.search(text)
    return textwrap.dedent(found[1]) if found else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _answers(code: str, scope: dict[str, Any]) -> list[Any]:
    """The values of the expressions in the code; of code without expressions, the last definition."""
    tree, scope = ast.parse(code), dict(scope)
    values = []
    for node in tree.body:
        if isinstance(node, ast.Expr):
            values.append(eval(compile(ast.Expression(node.value), "<sheet>", "eval"), scope))
        else:
            exec(compile(ast.Module([node], []), "<sheet>", "exec"), scope)
    return values or [scope[_last_name(tree)] for _ in tree.body[:1]]


def _last_name(tree: ast.Module) -> str:
    last = tree.body[-1]
    return last.targets[0].id if isinstance(last, ast.Assign) else last.name


def _untouched(answer: Any) -> bool:
    if answer is ... or answer is None:
        return True
    if inspect.isclass(answer):
        return _untouched(vars(answer).get("forward", answer.__name__))
    if not inspect.isfunction(answer):
        return False
    # A stub "def f(x): ..." returns None and has no names or constants of its own but Ellipsis and docstring.
    code = answer.__code__
    constants = [c for c in code.co_consts if c is not None and c is not ... and c != answer.__doc__]
    return not constants and not code.co_names and _returns_none(code)


def _returns_none(code) -> bool:
    import dis

    useful = {i.opname for i in dis.get_instructions(code)} - {"RESUME", "NOP", "COPY_FREE_VARS"}
    return useful <= {"LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "POP_TOP"}
