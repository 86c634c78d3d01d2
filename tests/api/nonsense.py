"""What people paste, robots try, and databases choke on."""
from __future__ import annotations

import msgspec

MARK = "<xss-7f3>"              # must never come back unescaped in a page
BREAKOUT = "\"onx7f3='"         # nor this, which would end an attribute

TEXTS = (
    "", " ", "\t\n", "'", '"', "\\", "%", "_", "' OR 1=1 --", "'; DROP TABLE patient; --", "1 UNION SELECT NULL,NULL--",
    "%' AND SLEEP(5) AND '%'='", "`id`", "$(id)", "${7*7}", "{{7*7}}", "%s%n%x", "../../../../etc/passwd",
    "C:\\..\\con",
    f"{MARK}alert(1)</script>", f"{BREAKOUT}alert(1)", "javascript:alert(1)", "</title><svg/onload=alert(1)>",
    "<!--", "]]>",
    '=HYPERLINK("http://evil.test")', "a\r\nSet-Cookie: evil=1", "\u202eelbisivni", "\u2066\u2069\u200b\u200d\ufeff",
    "\u2028\u2029",
    "👩‍⚕️🏳️‍🌈", "Z̸̡͑a̶l̷g̴o̵" * 30, "ﷺ" * 50, "ß" * 100, "İ" * 100, "日本語", "مرحبا", "\u0085\u00a0",
    "\x01\x1b[31m\x7f", "\ufffe\uffff",
    "null", "true", "NaN", "Infinity", "-0", "1e309", "0x41", "9" * 400, "x" * 101, "x" * 501,
    "é" * 5_000, "x" * 100_000,
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "{00000000-0000-0000-0000-000000000000}",
    "0001-01-01", "9999-12-31", "10000-01-01", "2027-02-30", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2027-03-01T08:00:00",
    "2027-03-01T24:00:00Z", "2027-03-01T08:00:60Z",
    "2027-03-28T01:30:00+00:00", "-2027-03-01T08:00:00Z", "2027-W09-1", "2027-060", "24:00", "00:00", "23:59", "-01:00",
    "a@b.c", "@", "a@" + "b" * 250 + ".c", "+", "+353 1 234", "()" * 10)

# As JSON: some of it no library would write.
STRINGS = tuple(msgspec.json.encode(text) for text in TEXTS)
VALUES = (
    *STRINGS, b"null", b"true", b"false", b"0", b"-1", b"1.5", b"-0.0", b"1e308",
    b"1e309", b"-1e309", b"2147483648", b"4294967296", b"9223372036854775807", b"9223372036854775808",
    b"18446744073709551616", b"-9223372036854775809", b"9" * 5_000, b"[]", b"{}", b"[null]", b"[[]]", b'{"$gt":""}',
    b'[{"a":1}]', b"[" * 500 + b"]" * 500, b'{"a":' * 500 + b"1" + b"}" * 500, rb'"\ud800"', rb'"\udc00\ud800"',
    rb'"a\u0000b"', rb'"\u0000"', b'"\xff\xfe"', b'"\xed\xa0\x80"', b"NaN", b"Infinity", b"nul", b"'x'", b'"\x01"',
    b'"unfinished', b"//", b"")

BODIES = (
    b"", b" ", b"null", b"[]", b"{}", b"0", b'""', b"{", b"}", b"[" * 100_000, b'{"a":' * 50_000,
    b"[" * 5_000 + b"]" * 5_000,
    b'{"a":1,"a":2}', b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b"\xff\xff", b"\x00", b"{}\x00", b"{}{}", b"{},",
    b'{"":""}',
    b'{"__proto__":{"admin":true}}', b"%7B%7D",
    b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]><x>&y;</x>",
    b'{"x":"' + b"y" * 1_100_000 + b'"}')
