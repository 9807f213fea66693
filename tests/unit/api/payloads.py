"""500 texts that would do harm where a value is taken for SQL, for a path, for markup or for a format. Literals, combined."""

from __future__ import annotations

from itertools import product

_SQL = (
    "' OR '1'='1", "'; DROP TABLE sales_by_minute; --", '" OR ""="', "1; SELECT 1", "') UNION SELECT 1 --", "%", "_", "\\",
    "$$; COPY x TO 'y'; $$", "x' AND 1=CAST((SELECT 1) AS INT) --", "/* */", "ATTACH 'a.db'", "'||(SELECT 1)||'", "NULL",
    "?", "$1", ":name", "{rows}", "%s", "0x27", "';SELECT pg_sleep(9)--", "read_csv('/etc/passwd')", "\u02bc OR 1=1",
)  # fmt: skip
_PATHS = (
    "../../etc/passwd", "..%2f..%2fetc", "/etc/passwd", "file:///etc/passwd", "C:\\windows", "....//....//", "%2e%2e/", "~root",
    "s3://lakehouse/gold", "current.json", "./.", "//host/x", "a/../b", "live.sales", "\\\\host\\share",
)  # fmt: skip
_MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=1>",
    "{{7*7}}",
    "${7*7}",
    "=1+1",
    "@SUM(1)",
    "javascript:1",
    "]]>",
    "&lt;",
)
_UNICODE = (
    "\u202etxt.exe", "\ufeff", "\u0000a", "a\u0000b", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "ﷺ", "Z͑ͫ̓a", "\u2028",
    "İ", "ß", "Ⅷ", "\u200b", "𝕏", "가나다", "עברית", "\x1b[31m", "\r\nX-Injected: 1", "\t", "é", "e\u0301", "\uffff", "🏳️‍🌈", "½",
)  # fmt: skip
_ODD = (
    "",
    " ",
    "-1",
    "1e999",
    "NaN",
    "true",
    "[]",
    "{}",
    "null",
    "0",
    "x" * 1000,
    "'" * 300,
    "99999999999999999999",
    "1970-01-01",
)
_BASES = (*_SQL, *_PATHS, *_MARKUP, *_UNICODE, *_ODD)
PAYLOADS = tuple(dict.fromkeys((*_BASES, *(a + b for a, b in product(_SQL, (*_PATHS, *_UNICODE))))))[:500]
