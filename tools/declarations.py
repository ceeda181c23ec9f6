"""Reads the declarations of a public header, as far as the checks need them: kind, names, place,
comment.

Not a C parser: it relies on the headers' plain style (one declaration per statement, no macros that
hide braces).
"""

import dataclasses
import re

import source

SCAFFOLD = re.compile(r"\bBIDE_(?:BEGIN|END)_DECLARATIONS\b")
EXPORT = re.compile(r"\bBIDE_EXPORT\b")
ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", re.MULTILINE)
DEFINE = re.compile(r"\s*#\s*define\s+(\w+)(\(?)")
AGGREGATE = re.compile(r"^(?:struct|union|enum)\s+(\w+)\s*(?:\{|$)")


@dataclasses.dataclass
class Declaration:
    kind: str  # function, type, enum, variable, macro
    name: str
    line: int
    exported: bool
    comment: str  # the one right above, or ""
    body: str  # of an enum
    body_line: int

    @property
    def internal(self):
        """Not for users; or another header's type, named so that it need not be included."""
        return "__" in self.name or (self.kind == "type" and not self.name.startswith("bide"))


class Header:
    def __init__(self, path):
        self.text = path.read_text()
        self.comments = [
            (match.start(), match.end())
            for match in source.TOKEN.finditer(self.text)
            if match.group().startswith("/")
        ]
        self.bare = source.without_comments(self.text, keep_strings=False)
        code = DIRECTIVE.sub(lambda match: source.blank(match.group()), self.bare)
        self.code = SCAFFOLD.sub(lambda match: source.blank(match.group()), code)

    def line_of(self, at):
        return self.text.count("\n", 0, at) + 1

    def comment_above(self, at):
        """The comment that ends on the line before position `at` and begins a line of its own."""
        for start, end in self.comments:
            between = self.text[end:at]
            begins_line = not self.text[self.text.rfind("\n", 0, start) + 1 : start].strip()
            if end <= at and not between.strip() and between.count("\n") == 1 and begins_line:
                return self.text[start:end]
        return ""

    def statements(self):
        """(start, end) of every statement outside braces."""
        start = None
        depth = 0
        for at, char in enumerate(self.code):
            if start is None:
                if char.isspace() or char == ";":
                    continue
                start = at
            if char == "{":
                depth += 1
            elif char == "}":
                depth -= 1
                if depth == 0 and self.is_function_body(start, at):
                    yield start, at + 1
                    start = None
            elif char == ";" and depth == 0:
                yield start, at
                start = None

    def is_function_body(self, start, at):
        head = self.code[start : self.code.index("{", start)]
        return "(" in ATTRIBUTE.sub("", head) and not head.startswith("typedef")

    def declaration(self, start, end):
        whole = self.code[start:end]
        flat = EXPORT.sub("", ATTRIBUTE.sub("", whole)).strip()
        head = " ".join(flat.split("{")[0].split())
        exported = bool(EXPORT.search(whole))
        aggregate = AGGREGATE.match(head)
        body, body_line = "", 0
        if head.startswith("typedef"):
            kind = "type"
            function = re.search(r"(\w+)\s*\(", head) if "(*" not in head else None
            pointer = re.search(r"\(\*\s*(\w+)\)", head)
            plain = re.search(r"(\w+)(?:\s*\[[^]]*\])?\s*$", flat)
            name = (pointer or function or plain).group(1)
        elif aggregate or head in ("enum", "struct", "union"):
            kind = "enum" if head.startswith("enum") else "type"
            name = aggregate.group(1) if aggregate else "(anonymous)"
            brace = self.code.find("{", start, end)
            if kind == "enum" and brace >= 0:
                body, body_line = self.text[brace + 1 : end], self.line_of(brace)
        elif "(" in head:
            kind = "function"
            name = re.search(r"(\w+)\s*\(", head).group(1)
        else:
            kind = "variable"
            name = re.search(r"(\w+)(?:\s*\[[^]]*\])*\s*(?:=.*)?$", head).group(1)
        comment = self.comment_above(start)
        return Declaration(kind, name, self.line_of(start), exported, comment, body, body_line)

    def macros(self):
        """A run of directives may share the comment above it; lower-case macros need their own."""
        run_comment = ""
        run_end = -1
        for match in DIRECTIVE.finditer(self.bare):
            if (
                self.text[run_end : match.start()].strip()
                or run_end < 0
                or (self.text.count("\n", run_end, match.start()) > 1)
            ):
                run_comment = ""
            own = self.comment_above(match.start())
            run_comment = own or run_comment
            run_end = match.end()
            define = DEFINE.match(match.group())
            if define:
                name = define.group(1)
                comment = run_comment if name.isupper() else own
                line = self.line_of(match.start())
                yield Declaration("macro", name, line, False, comment, "", 0)

    def declarations(self):
        for start, end in self.statements():
            yield self.declaration(start, end)
        yield from self.macros()


def read(path):
    return list(Header(path).declarations())
