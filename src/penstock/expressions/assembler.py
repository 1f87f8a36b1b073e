"""The assembler: checked expressions become a program for the machine.

Every node becomes a value, and equal nodes one value, across all expressions. Values are then given registers, which are
reused after their last read. A program is a sequence of stages; a new one begins only where a text function reads a text
that the machine has chosen.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from penstock.codes import NULL, text_code
from penstock.expressions import machine
from penstock.expressions.program import Arrival, Auxiliary, ChosenText, ComputedText, Stage
from penstock.expressions.texts import column_of, texts_read
from penstock.expressions.tree import Call, Literal, Name, Node, only_in_python
from penstock.expressions.zones import zone_directory, zone_table
from penstock.messages import Batch, Column, Layout, Type

_ARRIVAL = Name("", Type.TIME)
"""Stands for the arrival of an event, which is no column."""


@dataclass(frozen=True, slots=True)
class _Instruction:
    """An opcode, the values it reads, its immediate operands, and the column where it stores (or -1)."""

    opcode: int
    reads: tuple[int, ...]
    immediates: tuple[int, ...] = ()
    column: int = -1


@dataclass(slots=True)
class Assembly:
    """One stage while it is put together. A value is known by the position of the instruction that computes it."""

    layout: Layout
    instructions: list[_Instruction] = field(default_factory=list)
    known: dict[_Instruction, int] = field(default_factory=dict)
    stored: dict[str, int] = field(default_factory=dict)
    numbers: list[float] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    placed: dict[object, int] = field(default_factory=dict)
    computed: list[ComputedText] = field(default_factory=list)
    auxiliaries: dict[Node, Auxiliary | Arrival] = field(default_factory=dict)
    lists: dict[str, int] = field(default_factory=dict)
    chosen: list[ChosenText] = field(default_factory=list)

    def add(self, root: Node, place: str, target: Column) -> None:
        """Compute an expression into the target. place: what it belongs to, as errors name it."""
        if target.type is Type.TEXT and only_in_python(root):
            self.computed.append(ComputedText(target.name, target.index, column_of(root, place)))
            return
        value = self._value(root, place)
        is_text = target.type is Type.TEXT
        self.instructions.append(_Instruction(machine.STORE_TEXT if is_text else machine.STORE, (value,), column=target.index))
        self.stored[target.name] = value
        if is_text:
            sources = list(_sources(root))
            reads = frozenset().union(*map(texts_read, sources))
            self.chosen.append(
                ChosenText(target.name, target.index, reads, tuple(column_of(source, place) for source in sources))
            )

    def finished(self) -> Stage:
        """The finished stage."""
        code, registers = _allocated(self.instructions)
        numbers, words = np.array(self.numbers or [0.0], np.float64), np.array(self.words or [0], np.int64)
        return Stage(self.computed, tuple(self.auxiliaries.values()), self.chosen, code, numbers, words, registers, self.lists)

    # ------------------------------------------------------------ values

    def _value(self, node: Node, place: str) -> int:
        if isinstance(node, Name):
            return self._loaded(node)
        if isinstance(node, Literal):
            return self._constant(node)
        if only_in_python(node):
            return self._auxiliary(node, place)
        if node.function.opcode is None:  # a mere change of type
            return self._value(node.args[0], place)
        return self._called(node, node.function.opcode, place)

    def _emit(self, opcode: int, reads: tuple[int, ...], immediates: tuple[int, ...] = ()) -> int:
        instruction = _Instruction(opcode, reads, immediates)
        if instruction not in self.known:
            self.known[instruction] = len(self.instructions)
            self.instructions.append(instruction)
        return self.known[instruction]

    def _loaded(self, node: Name) -> int:
        if node.name in self.stored:
            return self.stored[node.name]
        opcode = machine.LOAD_TEXT if node.type is Type.TEXT else machine.LOAD
        return self._emit(opcode, (), (self.layout[node.name].index,))

    def _constant(self, literal: Literal) -> int:
        if literal.type is Type.TEXT:
            return self._emit(machine.TEXT, (), (self._words((_code(literal),)),))
        return self._emit(machine.NUMBER, (), (self._numbers((_number(literal),)),))

    def _auxiliary(self, node: Node, place: str) -> int:
        assert node.type is not None
        made = self.auxiliaries.setdefault(node, Auxiliary(len(self.auxiliaries), node.type, column_of(node, place)))
        return self._emit(machine.LOAD_AUX_TEXT if node.type is Type.TEXT else machine.LOAD_AUX, (), (made.index,))

    def _arrival(self) -> int:
        made = self.auxiliaries.setdefault(_ARRIVAL, Arrival(len(self.auxiliaries)))
        return self._emit(machine.LOAD_AUX, (), (made.index,))

    def _called(self, call: Call, name: str, place: str) -> int:
        opcode: int = getattr(machine, name)
        args = call.args
        if name in {"IN", "IN_TEXT"}:
            return self._emit(opcode, (self._value(args[0], place),), self._listed(args[1:]))
        if name == "IN_LIST":
            slot = self._slot(str(_literal(args[1]).value))
            return self._emit(opcode, (self._value(args[0], place), self._arrival()), (slot,))
        if name == "LOCAL":
            return self._emit(opcode, (self._value(args[0], place),), (self._zone(str(_literal(args[1]).value)),))
        if name == "LOCAL_BY":
            return self._emit(opcode, (self._value(args[0], place), self._value(args[1], place)), (self._zones(),))
        values = [self._value(arg, place) for arg in args]
        missing = len(call.function.takes) - len(values)
        if missing > 0:
            values += [self._constant(Literal(value, Type.NUMBER)) for value in call.function.defaults[-missing:]]
        if call.function.more is None:
            return self._emit(opcode, tuple(values))
        result = values[0]
        for value in values[1:]:
            result = self._emit(opcode, (result, value))
        return result

    # ------------------------------------------------------------ constants

    def _listed(self, items: Sequence[Node]) -> tuple[int, int]:
        literals = [_literal(item) for item in items]
        if items[0].type is Type.TEXT:
            return self._words(tuple(map(_code, literals))), len(items)
        return self._numbers(tuple(map(_number, literals))), len(items)

    def _numbers(self, values: tuple[float, ...]) -> int:
        key = ("numbers", *("null" if math.isnan(value) else value for value in values))
        if key not in self.placed:
            self.placed[key] = len(self.numbers)
            self.numbers += values
        return self.placed[key]

    def _words(self, values: tuple[int, ...]) -> int:
        if values not in self.placed:
            self.placed[values] = len(self.words)
            self.words += values
        return self.placed[values]

    def _slot(self, name: str) -> int:
        """The word that will hold the start of this list."""
        if name not in self.lists:
            self.lists[name] = len(self.words)
            self.words.append(0)
        return self.lists[name]

    def _zone(self, name: str) -> int:
        return self._words(tuple(zone_table(name).tolist()))

    def _zones(self) -> int:
        if "zones" not in self.placed:
            codes, starts, tables = zone_directory()
            self.placed["zones"] = at = len(self.words)
            first = at + 1 + 2 * len(codes)
            self.words += [len(codes), *codes.tolist(), *(starts + first).tolist(), *tables.tolist()]
        return self.placed["zones"]


def _sources(node: Node) -> Iterator[Node]:
    """The nodes among whose texts this one chooses."""
    if not isinstance(node, Call) or only_in_python(node):
        yield node
        return
    choices = {"IF": node.args[1:], "NULLIF": node.args[:1]}.get(node.function.name, node.args)
    for choice in choices:
        yield from _sources(choice)


def _literal(node: Node) -> Literal:
    """A node that the checker has made sure is a constant."""
    assert isinstance(node, Literal)
    return node


def _code(literal: Literal) -> int:
    return NULL if literal.value is None else text_code(str(literal.value))


def _number(literal: Literal) -> float:
    return float("nan") if literal.value is None else float(literal.value)


def value_of(node: Node) -> Literal:
    """The value of an expression made of constants alone."""
    if node.type is Type.TEXT:
        text = column_of(node, "constant")({}, 1)[0]
        return Literal(None if text is None else str(text), Type.TEXT)
    assembly = Assembly(Layout())
    value = assembly._value(node, "constant")
    assembly.instructions.append(_Instruction(machine.STORE, (value,), column=0))
    batch = _one_empty_row()
    assembly.finished().run(batch)
    result = float(batch.x[0, 0])
    return Literal(None if math.isnan(result) else result, node.type)


def _one_empty_row() -> Batch:
    one = np.zeros(1, np.int64)
    return Batch([""], one.astype(np.uint8), one, one, np.zeros((1, 1)), np.zeros((1, 0), np.int64), {})


# ---------------------------------------------------------------- registers


def _allocated(instructions: Sequence[_Instruction]) -> tuple[NDArray[np.int32], int]:
    """The machine's form of the instructions, and how many registers they use."""
    last_read = {value: at for at, instruction in enumerate(instructions) for value in instruction.reads}
    code = np.zeros((len(instructions), 6), np.int32)
    register_of: dict[int, int] = {}
    free: list[int] = []
    count = 0
    for at, instruction in enumerate(instructions):
        operands = (*(register_of[value] for value in instruction.reads), *instruction.immediates)
        to = instruction.column
        if to < 0:  # a separate register: vector instructions want results apart from operands
            if not free:
                free.append(count)
                count += 1
            to = register_of[at] = free.pop()
        code[at, :2] = instruction.opcode, to
        code[at, 2 : 2 + len(operands)] = operands
        free += [register_of.pop(value) for value in set(instruction.reads) if last_read[value] == at]
    return code, max(count, 1)
