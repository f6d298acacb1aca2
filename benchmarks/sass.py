"""The machine code of GPU kernels, as ``cuobjdump -sass`` prints it: loops, and what is in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FUNCTION = re.compile(r"^\s*Function : (\S+)", re.M)
_INSTRUCTION = re.compile(
    r"^\s+/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)([^;]*);", re.M
)
_ADDRESS = re.compile(r"\b0x([0-9a-f]+)\s*$")


@dataclass(frozen=True)
class Instruction:
    """One instruction, with the address that it jumps to or calls, if it says one."""

    address: int
    opcode: str
    target: int | None = None


def functions(disassembly: str) -> dict[str, list[Instruction]]:
    """The instructions of each function, by its mangled name, in the order of their addresses."""
    found = {}
    texts = _FUNCTION.split(disassembly)
    for name, text in zip(texts[1::2], texts[2::2], strict=True):
        found[name] = [_read(*match) for match in _INSTRUCTION.findall(text)]
    return found


def _read(address: str, opcode: str, operands: str) -> Instruction:
    jumps = opcode.split(".")[0] in ("BRA", "CALL")
    target = _ADDRESS.search(operands) if jumps else None
    return Instruction(int(address, 16), opcode, int(target[1], 16) if target else None)


def body(function: list[Instruction]) -> list[Instruction]:
    """What is executed: no padding, nothing behind it, and none of the routines that it calls.

    Those are the slow paths of divisions and roots, behind the function's own code.
    """
    called = [one.target for one in function if one.opcode.startswith("CALL") and one.target]
    end = min([target for target in called if target > 0], default=1 << 62)
    return [
        one
        for one in function
        if one.address < end and one.opcode != "NOP" and one.target != one.address
    ]


def loops(instructions: list[Instruction]) -> list[list[Instruction]]:
    """Each loop: from where a later branch jumps back to, to the last that does; inner ones too."""
    ends: dict[int, int] = {}
    for one in instructions:
        if one.opcode.startswith("BRA") and one.target is not None and one.target < one.address:
            ends[one.target] = max(one.address, ends.get(one.target, 0))
    return [
        [one for one in instructions if begin <= one.address <= end]
        for begin, end in sorted(ends.items())
    ]


def hottest_loop(instructions: list[Instruction]) -> list[Instruction] | None:
    """The loop with the most instructions that are in no loop inside it, with those inside it."""
    found = loops(instructions)

    def own(loop: list[Instruction]) -> int:
        inside = {
            one.address
            for other in found
            if len(other) < len(loop) and other[0] in loop and other[-1] in loop
            for one in other
        }
        return len(loop) - len(inside)

    return max(found, key=own, default=None)


def count(instructions: list[Instruction], *opcodes: str) -> int:
    """How many have one of these opcodes, which are given from their start: ``"LDG"``."""
    return sum(one.opcode.startswith(opcodes) for one in instructions)


def wide_and_narrow(instructions: list[Instruction]) -> tuple[int, int]:
    """Accesses of global memory of 16 bytes a thread, and of fewer."""
    reached = [one for one in instructions if one.opcode.startswith(("LDG", "STG", "LDGSTS"))]
    wide = sum(".128" in one.opcode for one in reached)
    return wide, len(reached) - wide
