"""Comparison, logic, choices and nulls."""

from __future__ import annotations

from amora_fs_assets.domain.request_time.operations.form import Operation, operation

_COMPARED = "Of floats: false for NaN, and 0 equals -0. Texts and bytes compare by code points and bytes; false < true."

LOGIC: tuple[Operation, ...] = (
    operation("equal", "a == b", "{0} == {1}", _COMPARED, "Comparison operators", {"T T -> boolean": "({0} == {1})"}),
    operation("not_equal", "a != b", "{0} != {1}", "The opposite of ==: true for NaN.", "Comparison operators",
              {"T T -> boolean": "({0} != {1})"}),
    operation("less", "a < b, a > b", "{0} < {1}", _COMPARED, "Comparison operators",
              {"T T -> boolean": "({0} < {1})"}),
    operation("less_equal", "a <= b, a >= b", "{0} <= {1}", _COMPARED, "Comparison operators",
              {"T T -> boolean": "({0} <= {1})"}),
    operation("and", "a & b", "{0} and {1}", "False if an argument is false; otherwise null if an argument is null.",
              "Logical operators", {"boolean boolean -> boolean":
              "(False if {0} is False or {1} is False else None if {0} is None or {1} is None else True)"},
              strict=False),
    operation("or", "a | b", "{0} or {1}", "True if an argument is true; otherwise null if an argument is null.",
              "Logical operators", {"boolean boolean -> boolean":
              "(True if {0} is True or {1} is True else None if {0} is None or {1} is None else False)"},
              strict=False),
    operation("not", "~a", "not {0}", "The opposite.", "Logical operators", {"boolean -> boolean": "(not {0})"}),
    operation("if", "c.ifelse(a, b), ibis.cases(...), a.cases(...)", "({1} if {0} else {2})",
              "`a` if the condition is true; `b` if it is false or null.", "IF",
              {"boolean T T -> T": "({1} if {0} else {2})"}, strict=False),
    operation("coalesce", "ibis.coalesce(a, b), a.fill_null(b)", "coalesce({0}, {1})", "`b` if `a` is null, else `a`.",
              "COALESCE", {"T T -> T": "({1} if {0} is None else {0})"}, strict=False),
    operation("is_null", "a.isnull(), a.notnull()", "{0} is null", "Whether `a` is null. NaN is not null.",
              "IS operators", {"T -> boolean": "({0} is None)"}, strict=False),
    operation("to_boolean", 'a.cast("boolean")', "bool({0})",
              "Of a number: whether it is not 0. Of text: true or false, in any case; null for other text.",
              "Conversion functions",
              {"int64 -> boolean": "({0} != 0)", "string -> boolean": "TRUTHS.get({0}.lower())"}),
)  # fmt: skip
