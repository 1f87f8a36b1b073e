"""SQL expressions of conditions and derived features: parsed, checked, compiled, run over micro-batches, and translated.

    expression = parse("is_night AND amount > 2000", scope, place="rule 'night_high_value'", expect=Type.BOOLEAN)
    program = assemble([(expression, "night_high_value")], layout)
    program.run(batch)

The language reference: docs/reference/expressions.md.
"""

from penstock.expressions.compiler import assemble, constant_of
from penstock.expressions.expression import Expression, parse
from penstock.expressions.members import ListMember, Members
from penstock.expressions.program import Program

__all__ = ["Expression", "ListMember", "Members", "Program", "assemble", "constant_of", "parse"]
