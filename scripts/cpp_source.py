"""What check_layers.py and tidy.py need to know about C and C++ text: comments, literals, brackets, includes."""

import re
import subprocess

SOURCE_SUFFIXES = (".h", ".cc", ".c")

_TOKEN = re.compile(
    r'//[^\n]*'
    r'|/\*.*?\*/'
    r'|R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-zA-Z_])(?:u8|[LuU])?'(?:\\.|[^'\\\n])*'",
    re.DOTALL)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?P<open>["<])(?P<path>[^">]+)[">]', re.MULTILINE)
_PAIRS = {"{": "}", "(": ")", "[": "]"}


def blank(text, keep_strings=False):
    """The same text with comments and the insides of literals replaced by spaces; offsets and lines stay."""

    def replace(match):
        token = match.group(0)
        if token[0] == "/":
            return re.sub(r"[^\n]", " ", token)
        if keep_strings:
            return token
        return token[0] + re.sub(r"[^\n]", " ", token[1:-1]) + token[-1]

    return _TOKEN.sub(replace, text)


def blank_directives(code):
    """Replaces preprocessor lines (with their continuations) by spaces: their brackets need not balance."""
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), code,
                  flags=re.MULTILINE)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def matching(code, start):
    """Offset of the bracket that closes the one at `start` in blanked code; len(code) when there is none."""
    opening, closing = code[start], _PAIRS[code[start]]
    depth = 0
    for offset in range(start, len(code)):
        if code[offset] == opening:
            depth += 1
        elif code[offset] == closing:
            depth -= 1
            if depth == 0:
                return offset
    return len(code)


def includes(text):
    """Yields (line, path, is_quoted) for every #include outside comments."""
    code = blank(text, keep_strings=True)
    for match in _INCLUDE.finditer(code):
        yield line_of(code, match.start("path")), match.group("path"), match.group("open") == '"'


def tracked_files(root):
    """Files of the tree as git sees them, new ones included, ignored ones not."""
    listing = subprocess.run(["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"],
                             check=True, capture_output=True, text=True).stdout
    return [path for path in listing.splitlines() if (root / path).is_file()]
