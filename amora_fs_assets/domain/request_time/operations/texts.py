"""Texts. Places and lengths count code points."""

from __future__ import annotations

from amora_fs_assets.domain.request_time.operations.form import Operation, operation

_SPACES = "the characters space, tab, line feed, carriage return, vertical tab and form feed"


def _of_text(name: str, ibis: str, meaning: str, source: str, python: str) -> Operation:
    return operation(name, ibis, f"{name}({{0}})", meaning, source, {"string -> string": python})


TEXTS: tuple[Operation, ...] = (
    _of_text("lower", "a.lower()", "A to Z become a to z; other letters stay, since engines differ in them.",
             "TRANSLATE", "{0}.translate(LOWER)"),
    _of_text("upper", "a.upper()", "a to z become A to Z; other letters stay, since engines differ in them.",
             "TRANSLATE", "{0}.translate(UPPER)"),
    _of_text("strip", "a.strip()", f"Without {_SPACES} at both ends.", "TRIM", "{0}.strip(SPACES)"),
    _of_text("lstrip", "a.lstrip()", f"Without {_SPACES} at the start.", "LTRIM", "{0}.lstrip(SPACES)"),
    _of_text("rstrip", "a.rstrip()", f"Without {_SPACES} at the end.", "RTRIM", "{0}.rstrip(SPACES)"),
    operation("length", "a.length()", "length({0})", "The number of code points; of bytes: of bytes.", "CHAR_LENGTH",
              {"string -> int64": "len({0})", "bytes -> int64": "len({0})"}),
    operation("concat", "a + b, a.concat(b)", "{0} + {1}", "Both texts. Null if one is null.", "CONCAT",
              {"string string -> string": "({0} + {1})"}),
    operation("substring", "a.substr(start, length), a[start:end], a.left(n)", "substring({0}, {1}, {2})",
              "`length` code points from `start`, counted from 0; less at the end. Null for a negative start or "
              "length.",
              "SUBSTR", {"string int64 int64 -> string": "({0}[{1}:{1} + {2}] if {1} >= 0 <= {2} else None)"}),
    operation("right", "a.right(n)", "right({0}, {1})", "The last `n` code points. Null for a negative `n`.", "RIGHT",
              {"string int64 -> string": "({0}[-{1}:] if {1} > 0 else '' if {1} == 0 else None)"}),
    operation("starts_with", "a.startswith(b)", "startswith({0}, {1})", "Whether `a` starts with `b`.", "STARTS_WITH",
              {"string string -> boolean": "{0}.startswith({1})"}),
    operation("ends_with", "a.endswith(b)", "endswith({0}, {1})", "Whether `a` ends with `b`.", "ENDS_WITH",
              {"string string -> boolean": "{0}.endswith({1})"}),
    operation("has_text", "a.contains(b)", "contains({0}, {1})", "Whether `b` is in `a`.", "STRPOS",
              {"string string -> boolean": "({1} in {0})"}),
    operation("find", "a.find(b)", "find({0}, {1})", "The first place of `b` in `a`, counted from 0; -1 for none.",
              "STRPOS", {"string string -> int64": "{0}.find({1})"}),
    operation("replace", "a.replace(b, c)", "replace({0}, {1}, {2})",
              "`a` with `c` in the place of each `b`. The same text if `b` is empty.", "REPLACE",
              {"string string string -> string": "({0}.replace({1}, {2}) if {1} else {0})"}),
    operation("to_string", 'a.cast("string")', "text({0})", "Digits; `true` and `false`; `2024-02-29`.",
              "Conversion functions",
              {"int64 -> string": "str({0})", "boolean -> string": "('true' if {0} else 'false')",
               "date -> string": "{0}.isoformat()"}),
)  # fmt: skip
