"""Expressions of every kind that a transform may hold: what the golden forms are made of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import ibis
from ibis.expr.types import Table

COLUMNS = {
    "i": "int64", "j": "int64", "f": "float64", "g": "float64", "s": "string", "u": "string", "b": "boolean",
    "x": "binary", "d": "date", "t": "timestamp('UTC', 6)", "v": "timestamp('UTC', 6)", "n": "decimal(38, 9)",
    "a": "array<int64>", "w": "array<string>",
}  # fmt: skip
TABLES = {name: ibis.table(COLUMNS, name=name, database="raw") for name in ("one", "two")}
ONE, TWO = TABLES["one"], TABLES["two"]
WINDOW = ibis.window(group_by=ONE.s, order_by=ONE.t, preceding=2, following=0)


@ibis.udf.scalar.python  # type: ignore[untyped-decorator]
def doubled(value: int) -> int:
    """Twice the value."""
    return value * 2


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def jaccard(left: str, right: str) -> float: ...  # type: ignore[empty-body]


VALUES: dict[str, Callable[[Table], Any]] = {
    # arithmetic
    "add": lambda t: t.i + t.j, "subtract": lambda t: t.i - t.j, "multiply": lambda t: t.i * 2,
    "divide": lambda t: t.f / t.g, "floor divide": lambda t: t.i // 3, "modulus": lambda t: t.i % 7,
    "power": lambda t: t.f**2, "negate": lambda t: -t.i, "abs": lambda t: t.f.abs(), "ceil": lambda t: t.f.ceil(),
    "floor": lambda t: t.f.floor(), "round": lambda t: t.f.round(2), "sqrt": lambda t: t.f.sqrt(),
    "exp": lambda t: t.f.exp(), "ln": lambda t: t.f.ln(), "log": lambda t: t.f.log(3), "log2": lambda t: t.f.log2(),
    "log10": lambda t: t.f.log10(), "sign": lambda t: t.f.sign(), "clip": lambda t: t.f.clip(0, 1),
    "sin": lambda t: t.f.sin(), "atan2": lambda t: t.f.atan2(t.g), "pi": lambda t: t.f * ibis.pi,
    "greatest": lambda t: ibis.greatest(t.i, t.j), "least": lambda t: ibis.least(t.i, t.j),
    "is nan": lambda t: t.f.isnan(), "is inf": lambda t: t.f.isinf(), "bitwise": lambda t: (t.i & t.j) | (t.i ^ 3),
    "shift": lambda t: (t.i << 2) >> 1, "invert": lambda t: ~t.i,
    "bucket": lambda t: t.f.bucket([0, 1, 10], include_over=True),
    # comparisons and logic
    "equal": lambda t: t.i == t.j, "not equal": lambda t: t.i != t.j, "less": lambda t: t.i < t.j,
    "at most": lambda t: t.i <= 3, "more": lambda t: t.i > 3, "at least": lambda t: t.i >= 3,
    "between": lambda t: t.f.between(0, 1), "in": lambda t: t.s.isin(["b", "a"]), "not in": lambda t: t.s.notin(["a"]),
    "and": lambda t: t.b & (t.i > 1) & (t.j > 2), "or": lambda t: t.b | (t.i > 1), "xor": lambda t: t.b ^ (t.i > 1),
    "not": lambda t: ~t.b, "null": lambda t: t.s.isnull(), "not null": lambda t: t.s.notnull(),
    "identical": lambda t: t.i.identical_to(t.j), "null if": lambda t: t.i.nullif(0),
    "coalesce": lambda t: ibis.coalesce(t.i, t.j, 0), "fill null": lambda t: t.f.fill_null(0.5),
    "if else": lambda t: t.b.ifelse(t.i, t.j), "cases": lambda t: ibis.cases((t.i > 1, "a"), (t.i > 2, "b"), else_="c"),
    "simple case": lambda t: t.s.cases(("a", 1), ("b", 2), else_=3),
    "cast": lambda t: t.i.cast("float64"), "try cast": lambda t: t.s.try_cast("int64"), "hash": lambda t: t.s.hash(),
    "typeof": lambda t: t.s.typeof(),
    # literals
    "int": lambda _: ibis.literal(3), "float": lambda _: ibis.literal(0.1), "text": lambda _: ibis.literal("ü"),
    "bool": lambda _: ibis.literal(True), "bytes": lambda _: ibis.literal(b"\x00\xff"),
    "date": lambda _: ibis.literal(date(2020, 2, 29)),
    "instant": lambda _: ibis.literal(datetime(2020, 1, 2, tzinfo=UTC)),
    "decimal": lambda _: ibis.literal(Decimal("1.50"), "decimal(38, 9)"), "nothing": lambda _: ibis.null("string"),
    "list": lambda _: ibis.literal([1, 2]), "infinity": lambda _: ibis.literal(float("inf")),
    "nan": lambda _: ibis.literal(float("nan")), "interval": lambda t: t.t + ibis.interval(hours=36),
    # text
    "lower": lambda t: t.s.lower(), "upper": lambda t: t.s.upper(), "capitalize": lambda t: t.s.capitalize(),
    "strip": lambda t: t.s.strip(), "lstrip": lambda t: t.s.lstrip(), "rstrip": lambda t: t.s.rstrip(),
    "length": lambda t: t.s.length(), "substring": lambda t: t.s.substr(1, 2), "slice": lambda t: t.s[1:3],
    "left": lambda t: t.s.left(2), "right": lambda t: t.s.right(2), "find": lambda t: t.s.find("a"),
    "replace": lambda t: t.s.replace("a", "b"), "repeat": lambda t: t.s.repeat(2), "reverse": lambda t: t.s.reverse(),
    "pad": lambda t: t.s.lpad(5, "0") + t.s.rpad(5, "0"), "concatenation": lambda t: t.s + t.u + "!",
    "join": lambda t: ibis.literal(",").join([t.s, t.u]), "starts with": lambda t: t.s.startswith("a"),
    "ends with": lambda t: t.s.endswith("a"), "contains": lambda t: t.s.contains("a"), "like": lambda t: t.s.like("a%"),
    "ilike": lambda t: t.s.ilike("a%"), "regex search": lambda t: t.s.re_search("^a"),
    "regex extract": lambda t: t.s.re_extract("(a)", 1), "regex replace": lambda t: t.s.re_replace("a", "b"),
    "split": lambda t: t.s.split(","), "ascii": lambda t: t.s.ascii_str(),
    "translate": lambda t: t.s.translate("a", "b"),
    "levenshtein": lambda t: t.s.levenshtein(t.u), "to timestamp": lambda t: t.s.as_timestamp("%Y"),
    # time
    "truncate": lambda t: t.t.truncate("h"), "truncate a date": lambda t: t.d.truncate("M"),
    "year": lambda t: t.t.year(), "quarter": lambda t: t.t.quarter(), "month": lambda t: t.t.month(),
    "day": lambda t: t.t.day(), "hour": lambda t: t.t.hour(), "minute": lambda t: t.t.minute(),
    "second": lambda t: t.t.second(), "microsecond": lambda t: t.t.microsecond(), "week": lambda t: t.t.week_of_year(),
    "day of year": lambda t: t.t.day_of_year(), "day of week": lambda t: t.t.day_of_week.index(),
    "day's name": lambda t: t.t.day_of_week.full_name(), "epoch": lambda t: t.t.epoch_seconds(),
    "its date": lambda t: t.t.date(), "its time": lambda t: t.t.time(), "format": lambda t: t.t.strftime("%Y"),
    "difference": lambda t: t.t - t.v, "delta": lambda t: t.t.delta(t.v, unit="hour"),
    "before": lambda t: t.t - ibis.interval(days=1), "dates apart": lambda t: t.d.delta(date(2020, 1, 1), unit="day"),
    "from epoch": lambda t: t.i.as_timestamp("s"), "from parts": lambda t: ibis.date(t.i, t.j, 1),
    "interval of a column": lambda t: t.t + t.i.as_interval("h"), "buckets of time": lambda t: t.t.bucket(hours=3),
    "now": lambda _: ibis.now(), "today": lambda _: ibis.today(), "random": lambda _: ibis.random(),
    # lists and structs
    "item": lambda t: t.a[0], "items": lambda t: t.a[1:2], "list's length": lambda t: t.a.length(),
    "map": lambda t: t.a.map(lambda item: item * 2 + t.i), "filter": lambda t: t.a.filter(lambda item: item > 1),
    "nested map": lambda t: t.a.map(lambda item: t.a.map(lambda other: other + item).length()),
    "list contains": lambda t: t.a.contains(3), "position": lambda t: t.a.index(3), "sort": lambda t: t.a.sort(),
    "unique": lambda t: t.a.unique(), "concat lists": lambda t: t.a.concat(t.a), "remove": lambda t: t.a.remove(3),
    "union": lambda t: t.a.union(t.a), "intersect": lambda t: t.a.intersect(t.a), "list join": lambda t: t.w.join(","),
    "list of values": lambda t: ibis.array([t.i, t.j]), "struct": lambda t: ibis.struct({"k": t.i, "l": t.s}),
    "struct's field": lambda t: ibis.struct({"k": t.i, "l": t.s})["k"], "range": lambda t: ibis.range(0, t.i, 2),
    "map of keys": lambda t: ibis.map(ibis.array([t.s]), ibis.array([t.i])).get(t.u, 0),
    "unnest": lambda t: t.a.unnest(),
    "flatten": lambda t: ibis.array([t.a, t.a]).flatten(), "zip": lambda t: t.a.zip(t.w),
    # windows
    "row number": lambda t: ibis.row_number().over(group_by=t.s, order_by=t.t),
    "rank": lambda t: ibis.rank().over(order_by=t.i), "dense rank": lambda t: ibis.dense_rank().over(order_by=t.i),
    "percent rank": lambda t: ibis.percent_rank().over(order_by=t.i),
    "ntile": lambda t: ibis.ntile(4).over(order_by=t.i),
    "cume dist": lambda t: ibis.cume_dist().over(order_by=t.i), "lag": lambda t: t.i.lag(2).over(order_by=t.t),
    "lead": lambda t: t.i.lead(1, 0).over(order_by=t.t), "first": lambda t: t.i.first().over(WINDOW),
    "last": lambda t: t.i.last().over(WINDOW), "nth": lambda t: t.i.nth(1).over(WINDOW),
    "sum of rows": lambda t: t.f.sum().over(WINDOW), "cumulative": lambda t: t.f.cumsum(order_by=t.t),
    "range of time": lambda t: t.f.sum().over(
        ibis.range_window(preceding=ibis.interval(hours=1), following=0, order_by=t.t)),
    "share": lambda t: t.f / t.f.sum().over(group_by=t.s),
    # functions of one's own
    "python function": lambda t: doubled(t.i), "builtin function": lambda t: jaccard(t.s, t.u),
    # other rows
    "scalar subquery": lambda t: t.f - TWO.aggregate(m=TWO.f.mean()).as_scalar(), "in rows": lambda t: t.s.isin(TWO.s),
}  # fmt: skip
AGGREGATES: dict[str, Callable[[Table], Any]] = {
    "count": lambda t: t.count(), "count of": lambda t: t.i.count(), "count where": lambda t: t.count(where=t.b),
    "distinct": lambda t: t.s.nunique(), "sum": lambda t: t.f.sum(), "mean": lambda t: t.f.mean(where=t.i > 0),
    "min": lambda t: t.f.min(), "max": lambda t: t.f.max(), "std": lambda t: t.f.std(how="pop"),
    "var": lambda t: t.f.var(), "median": lambda t: t.f.median(), "quantile": lambda t: t.f.quantile(0.9),
    "approximate median": lambda t: t.f.approx_median(), "approximate distinct": lambda t: t.s.approx_nunique(),
    "mode": lambda t: t.s.mode(), "arbitrary": lambda t: t.s.arbitrary(), "any": lambda t: t.b.any(),
    "all": lambda t: t.b.all(), "argmax": lambda t: t.s.argmax(t.t), "argmin": lambda t: t.s.argmin(t.t),
    "collect": lambda t: t.i.collect(order_by=t.t), "group concat": lambda t: t.s.group_concat(","),
    "first of group": lambda t: t.i.first(order_by=t.t), "last of group": lambda t: t.i.last(order_by=t.t),
    "correlation": lambda t: t.f.corr(t.g), "covariance": lambda t: t.f.cov(t.g, how="pop"),
    "bit and": lambda t: t.i.bit_and(), "kurtosis": lambda t: t.f.kurtosis(),
}  # fmt: skip
RELATIONS: dict[str, Table] = {
    "filter": ONE.filter(ONE.i > 1, ONE.b).select("i"),
    "filter of a window": ONE.filter(ibis.row_number().over(group_by=ONE.s, order_by=ONE.t) == 0).select("i"),
    "limit": ONE.order_by(ibis.desc("t"), "s").limit(3, offset=1).select("i"),
    "order": ONE.order_by("t").select("i"),
    "distinct": ONE.select("i", "s").distinct(),
    "distinct on": ONE.distinct(on="s", keep="last").select("i"),
    "groups": ONE.group_by("s", hour=ONE.t.truncate("h")).aggregate(i=ONE.i.sum()),
    "having": ONE.group_by("s").having(lambda t: t.count() > 2).aggregate(i=ONE.i.sum()),
    "inner join": ONE.join(TWO, ["s", ONE.i == TWO.j]).select(ONE.i, f=TWO.f),
    "left join": ONE.left_join(TWO, "s").select(ONE.i, f=TWO.f),
    "outer join": ONE.outer_join(TWO, "s").select(ONE.i, f=TWO.f),
    "semi join": ONE.semi_join(TWO, "s").select("i"),
    "anti join": ONE.anti_join(TWO, "s").select("i"),
    "cross join": ONE.cross_join(TWO).select(ONE.i, f=TWO.f),
    "as-of join": ONE.asof_join(TWO, ONE.t >= TWO.t, predicates="s").select(ONE.i, f=TWO.f),
    "self join": ONE.join(again := ONE.view(), ONE.i == again.j).select(ONE.i, f=again.f),
    "three tables": ONE.join(TWO, "s").join(ONE.group_by("u").agg(n=ONE.count()), "u").select(ONE.i, "n"),
    "union all": ONE.select("i", "s").union(TWO.select("i", "s")),
    "union": ONE.select("i").union(TWO.select("i"), distinct=True),
    "intersection": ONE.select("i").intersect(TWO.select("i")),
    "difference": ONE.select("i").difference(TWO.select("i")),
    "fill nulls": ONE.fill_null({"i": 0}).select("i", "s"),
    "drop nulls": ONE.drop_null(["i", "s"]).select("i"),
    "drop columns": ONE.drop("i", "j").select("s"),
    "rename": ONE.rename(k="i").select("k"),
    "unnested table": ONE.unnest("a").select("a", "s"),
    "correlated": ONE.filter(TWO.filter(TWO.s == ONE.s).count().as_scalar() > 0).select("i"),
}


def expressions() -> dict[str, Table]:
    """Each expression as a table, by a name that says what it is."""
    found = {f"value: {name}": ONE.select(r=value(ONE)) for name, value in VALUES.items()}
    groups = {
        f"aggregate: {name}": ONE.group_by("u").agg(r=value(ONE)).select("r") for name, value in AGGREGATES.items()
    }
    return found | groups | {f"rows: {name}": table for name, table in RELATIONS.items()}
