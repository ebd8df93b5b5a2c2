"""Examine a pickle without executing it: what it would call, and whether reading it stays within bounds.

A pickle is a program for a machine with a stack. Here the stack is simulated: of each value only its kind is known, of
a tuple its expanded size, of a call the function's name and the numbers among its arguments. That shows names that
weights do not need; calls that fill the memory though PyTorch's safe reader allows them (``bytearray(10**11)``,
``torch.FloatTensor(10**11)``); and tuples in tuples, which as keys of a dictionary take for ever to hash.

Notebook: 06_failures_at_inference
"""

import io
import pickletools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["LONGEST", "Scan", "scan"]

LONGEST = 64 * 2**20  # bytes of a pickle; the weights themselves are outside it
INSTRUCTIONS = 1_000_000
TUPLE_SIZE, TUPLE_DEPTH = 100_000, 200  # expanded: the cost of hashing it
ALLOCATION = 10_000_000  # bytes or numbers that a call may ask for, beside the weights

# Callables that the safe reader allows, and that allocate as much as their arguments say.
_ALLOCATES = re.compile(
    r"(builtins|__builtin__)\.bytearray|torch\.(\w+\.)*\w*(Tensor|Storage)|torch\.nn\.parameter\.Parameter"
    r"|numpy\.(\w+\.)*(_reconstruct|ndarray|dtype|scalar)"
)
_WIDE_DTYPE = re.compile(r"[<>|=]?[VSUa]\d{6,}")
_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle in a file of torch.save before 1.6, which has five
# The most frequent instructions, which need no table.
_CONSTANTS = {"BINFLOAT", "FLOAT", "NONE", "NEWTRUE", "NEWFALSE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"}
_PUTS = {"BINPUT", "LONG_BINPUT", "PUT"}
_NUMBERS = {"BININT", "BININT1", "BININT2", "LONG1", "INT", "LONG", "BINUNICODE", "SHORT_BINUNICODE"}
_SAME_OBJECT = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}


class _Value(NamedTuple):
    """What is known of a value on the stack."""

    value: Any = None  # a number or a text
    name: str = ""  # of a function or class
    parts: tuple = ()  # of a tuple
    size: int = 1  # of a tuple, expanded
    depth: int = 0


_UNKNOWN, _MARK = _Value(), _Value(name="(mark)")


@dataclass
class Scan:
    """What a pickle, or the pickles at the start of a file, would do."""

    names: set[str] = field(default_factory=set)  # functions and classes, as ``module.name``
    by_torch: bool = False  # begins as a file of torch.save before 1.6
    complete: bool = False  # ends as a pickle does
    protocol: int = 0
    excess: str = ""  # why reading it would take too much time or memory


def scan(content: bytes, available: int) -> Scan:
    """Simulate the pickles at the start of ``content``.

    Args:
        available: bytes of weights that the file can hold: a storage in it can't have more numbers.
    """
    found, stream = Scan(), io.BytesIO(content)
    first = _run(stream, available, found)
    if first is not None and first.value == _MAGIC:
        found.by_torch = True
        for _ in range(4):  # the version of the format, the machine, the object, the names of the storages
            if not found.complete or found.excess:
                break
            _run(stream, available, found)
    if not found.complete and not found.excess and len(content) >= LONGEST:
        found.excess = f"its pickle has more than {LONGEST:,} bytes"
    return found


def _run(stream: io.BytesIO, available: int, found: Scan) -> _Value | None:
    """One pickle: fill in ``found``, return what is known of its result."""
    stack: list[_Value] = []
    memo: dict[Any, _Value] = {}
    found.complete = False
    try:
        argument: Any
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count > INSTRUCTIONS:
                found.excess = f"its pickle has more than {INSTRUCTIONS:,} instructions"
            elif opcode.name in _CONSTANTS:
                stack.append(_UNKNOWN)
            elif opcode.name in _PUTS:
                memo[argument] = stack[-1]
            elif opcode.name in _NUMBERS:
                stack.append(_Value(argument))
            elif opcode.name == "PROTO":
                found.protocol = max(found.protocol, argument)
            elif opcode.name == "STOP":
                found.complete = True
                return stack[-1] if stack else None
            else:
                _step(opcode, argument, stack, memo, found, available)
            if found.excess:
                return None
    except (ValueError, IndexError, EOFError, OverflowError, MemoryError, AttributeError, TypeError):
        return None  # no pickle, or not the whole of one
    return None


def _step(
    opcode: pickletools.OpcodeInfo,
    argument: Any,
    stack: list[_Value],
    memo: dict[Any, _Value],
    found: Scan,
    available: int,
) -> None:
    """One instruction."""
    name = opcode.name
    if name == "MARK":
        stack.append(_MARK)
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif "GET" in name:
        stack.append(memo.get(argument, _UNKNOWN))
    else:
        taken = _pop(opcode, stack)
        if name in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            stack.append(_tuple(taken, found))
        elif name in ("GLOBAL", "INST", "STACK_GLOBAL"):
            called = _name(argument, taken if name == "STACK_GLOBAL" else None)
            found.names.add(called)
            if name == "INST":
                _check_call(called, taken, found)
            stack.append(_Value(name=called) if name != "INST" else _UNKNOWN)
        elif name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            _check_call(taken[0].name, taken[1:], found)
            stack.append(_UNKNOWN)
        elif name == "BINPERSID":
            numbers = [p.value for p in taken[0].parts[4:5] if isinstance(p.value, int)]
            if numbers and not 0 <= numbers[0] <= available:
                found.excess = (
                    f"a tensor in it claims {numbers[0]} numbers, the file has {available} bytes of them"
                )
            stack.append(_UNKNOWN)
        elif name in _SAME_OBJECT:
            stack.append(taken[0])
        elif name == "DUP":
            stack += [taken[0], taken[0]]
        else:
            known = argument if isinstance(argument, int | str | bytes) else None
            stack += [_Value(value=known)] * len(opcode.stack_after)


def _pop(opcode: pickletools.OpcodeInfo, stack: list[_Value]) -> list[_Value]:
    """What an instruction takes from the stack, without the mark."""
    before = opcode.stack_before
    if pickletools.markobject not in before:
        count = len(before)
        taken = stack[len(stack) - count :] if count else []
        del stack[len(stack) - count :]
        if len(taken) < count:
            raise IndexError
        return taken
    mark = len(stack) - 1
    while stack[mark] is not _MARK:
        mark -= 1
        if mark < 0:
            raise IndexError
    start = mark - list(before).index(pickletools.markobject)
    if start < 0:
        raise IndexError
    taken = stack[start:mark] + stack[mark + 1 :]
    del stack[start:]
    return taken


def _tuple(parts: list[_Value], found: Scan) -> _Value:
    size, depth = 1 + sum(p.size for p in parts), 1 + max((p.depth for p in parts), default=0)
    if size > TUPLE_SIZE or depth > TUPLE_DEPTH:
        found.excess = "it has tuples in tuples without end"
    return _Value(parts=tuple(parts[:8]), size=size, depth=depth)


def _name(argument: Any, texts: list[_Value] | None) -> str:
    if texts is None:
        return str(argument).replace(" ", ".")
    both = [t.value for t in texts]
    if not all(isinstance(t, str) for t in both):
        return "(a name made up by the pickle)"
    return ".".join(both)


def _check_call(name: str, arguments: list[_Value], found: Scan) -> None:
    """Note a call that allocates more than weights need, or uses another codec than that of bytes."""
    given = [v.value for v in _leaves(arguments)]
    if name == "_codecs.encode" and not set(given[1:2]) <= {"latin1", "latin-1"}:
        found.excess = f"it calls {name} with another codec than latin1"
    if _ALLOCATES.fullmatch(name):
        size = 1
        for number in (v for v in given if isinstance(v, int)):
            size *= max(1, abs(number))
        wide = any(isinstance(v, str) and _WIDE_DTYPE.fullmatch(v) for v in given)
        if size > ALLOCATION or wide:
            found.excess = (
                f"it calls {name} for {size:,} numbers" if not wide else f"it calls {name} for a wide type"
            )


def _leaves(values: list[_Value]) -> Iterator[_Value]:
    for value in values:
        if value.parts:
            yield from _leaves(list(value.parts))
        else:
            yield value
