"""CEL conditions and `${…}` templates, behind one door."""

from edgematrix.expression.condition import Condition, Expression
from edgematrix.expression.names import ANY, Scope, Shape
from edgematrix.expression.source import free_names
from edgematrix.expression.template import Template, compile_pieces, literal_pieces, template_names
from edgematrix.expression.values import Timestamp, written

__all__ = [
    "ANY",
    "Condition",
    "Expression",
    "Scope",
    "Shape",
    "Template",
    "Timestamp",
    "compile_pieces",
    "free_names",
    "literal_pieces",
    "template_names",
    "written",
]
