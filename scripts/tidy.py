#!/usr/bin/env python3
"""Style that a script can judge. Usage: scripts/tidy.py [root]; one line per offence, exit code 1 if there are any.

Every ban states its reason and what to write instead, so that no review has to.
"""

import pathlib
import re
import sys

import cpp_source

COLUMNS_MAX = 120
LINES_MAX = {".h": 250, ".cc": 600, ".c": 600, ".py": 600}
FUNCTION_LINES_MAX = 70
CHECKED_SUFFIXES = (".h", ".cc", ".c", ".py", ".sh", ".cmake")
BANNED_FILE_NAMES = re.compile(r"(^|[_-])(util|utils|common|manager|helper|helpers|impl|misc)([_.-]|$)")
HOT_PATHS = ("lib/io/", "lib/http/", "lib/tls/", "agent/proxy/", "agent/hbone/")

# (pattern on code without comments and literals, where, reason and replacement)
BANS = (
    (r"\bstd::(recursive_|shared_|timed_)?mutex\b", "", "no locks: post to the loop that owns the object"),
    (r"\bstd::condition_variable\b", "", "no locks: use a WaitQueue or Channel of the loop"),
    (r"\b(sleep_for|sleep_until|usleep|nanosleep|sleep)\s*\(", "", "blocks a loop: use Clock or Executor timers"),
    (r"\bstd::function\b", HOT_PATHS, "allocates: use a template or absl::FunctionRef"),
    (r"(?<![\w.])assert\s*\(", "", "gone in release: use CHECK"),
    (r"\bFIXME\b", "", "finish it, or write TODO(issue N)"),
    (r"\busing namespace (?!std::literals|std::string_view_literals)", "", "hides where a name comes from"),
    (r"\b(std::async|std::jthread)\b", "", "threads are made by LoopPool and the helper thread only"),
    (r"\bsystem\s*\(|\bpopen\s*\(", "", "no programs are run: use netlink or the library"),
    (r"\breinterpret_cast<\s*(const\s+)?(u?int(16|32|64)_t|int|long)\s*\*>", "", "unaligned: memcpy into a value"),
)
# (path prefix, what it may say although it is banned, why)
WAIVED = (
    ("lib/metrics/registry.h", r"mutex", "metrics come and go on several threads; nothing that counts takes the lock"),
    ("lib/base/line_writer.h", r"mutex|condition_variable", "logs come from all threads; no loop waits for a disk"),
    ("lib/base/interned.h", r"mutex", "equal values are one for all threads; held for a look-up when one is made"),
    ("lib/tls/verified_chains.h", r"mutex", "workers share chains; held for a look-up, in a handshake of 300 us"),
    ("tests/", r"system|popen|sleep", "what drives a kernel from outside runs `ip` and polls"),
)
COMMENT_BANS = (
    (r"\bFIXME\b", "finish it, or write TODO(issue N)"),
    (r"\bTODO\b(?!\(issue \d+\))", "a TODO names its issue: TODO(issue 12)"),
)
_NOT_A_FUNCTION = re.compile(r"\b(namespace|class|struct|union|enum|extern|concept)\b[^()]*$|=\s*$|\breturn\s*$")
_LAMBDA = re.compile(r"(?<![\w\])\[])\[(?P<capture>[^\[\]]*)\]\s*(?:<[^{};]*?>\s*)?(?:\([^{};]*?\))?[^{};()]*\{")
_BLOCK_BEFORE = re.compile(r"(\belse|\bdo|\btry|\)|\bconst|\bnoexcept|\boverride|\bmutable|->\s*[\w:<>*&,\s]+)\s*$")


def functions(code):
    """Yields (offset of the header, offset of '{', offset of '}') of every outermost function in blanked code."""
    code = cpp_source.blank_directives(code)
    start = 0  # Of the declaration that the scan is in.
    offset = 0
    while match := re.compile(r"[;{}]").search(code, offset):
        header = code[start:match.start()]
        offset = match.end()
        if header.count("(") > header.count(")"):  # A default argument's braces, a loop's semicolon.
            offset = cpp_source.matching(code, match.start()) + 1 if match.group() == "{" else offset
            continue
        if match.group() == "{" and "(" in header and not _NOT_A_FUNCTION.search(header):
            end = cpp_source.matching(code, match.start())
            yield start + len(header) - len(header.lstrip()), match.start(), end
            offset = end + 1
        start = offset


def table_lines(body):
    """How many lines of a test's body are rows of a braced table: tables may be long."""
    lines = 0
    for match in re.finditer(r"=\s*\{|\[\]\s*=?\s*\{", body):
        if match.end() > 0 and body.rfind("\n", 0, match.end()) != -1:
            end = cpp_source.matching(body, match.end() - 1)
            lines += body.count("\n", match.end(), end)
    return lines


def check_function_lengths(path, code):
    for start, opening, end in functions(code):
        lines = code.count("\n", start, end) + 1
        if path.endswith("_test.cc"):
            lines -= table_lines(code[opening + 1:end])
        if lines > FUNCTION_LINES_MAX:
            yield cpp_source.line_of(code, start), f"function of {lines} lines; {FUNCTION_LINES_MAX} at most"


def check_lambda_coroutines(code):
    # Inner lambdas first, blanked once judged: an outer lambda is not a coroutine because an inner one is.
    for match in reversed(list(_LAMBDA.finditer(code))):
        end = cpp_source.matching(code, match.end() - 1)
        body = code[match.end():end]
        if match.group("capture").strip() and re.search(r"\bco_(await|return|yield)\b", body):
            yield (cpp_source.line_of(code, match.start()),
                   "capturing lambda as a coroutine: its captures die with the lambda; pass parameters")
        code = code[:match.end()] + re.sub(r"[^\n]", " ", body) + code[end:]


def _is_aggregate(code, brace):
    """Whether the '{' at `brace` opens a braced value with something in it, not a block or a lambda's body."""
    before = code[max(0, brace - 200):brace].rstrip()
    if not before or code[brace + 1:].lstrip().startswith("}"):
        return False
    if before[-1] in "(,=" or before.endswith("return"):
        return True
    return (before[-1].isalnum() or before[-1] in "_>") and not _BLOCK_BEFORE.search(before)


def _aggregate_after(code, offset):
    depth = 0
    while offset < len(code) and depth >= 0 and code[offset] != ";":
        if code[offset] == "{":
            if _is_aggregate(code, offset):
                return True
            if depth == 0:
                return False
            offset = cpp_source.matching(code, offset)
        elif code[offset] in "()":
            depth += 1 if code[offset] == "(" else -1
        offset += 1
    return False


def _aggregate_around(code, offset):
    depth = 0
    while (offset := offset - 1) >= 0:
        mark = code[offset]
        if mark in ")}":
            if mark == "}" and depth == 0:
                return False
            depth += 1
        elif mark == ";" and depth == 0:
            return False
        elif mark == "(":
            depth = max(0, depth - 1)
        elif mark == "{":
            if depth == 0:
                return _is_aggregate(code, offset)
            depth -= 1
    return False


def check_awaits(code):
    for match in re.finditer(r"\bco_await\b", code):
        if _aggregate_after(code, match.end()) or _aggregate_around(code, match.start()):
            yield (cpp_source.line_of(code, match.start()),
                   "braced temporary and co_await in one expression: name it first, then await it")


def check_bans(path, text, code):
    for pattern, where, reason in BANS:
        if where and not path.startswith(where):
            continue
        for match in re.finditer(pattern, code):
            if any(path.startswith(prefix) and re.search(may, match.group(0)) for prefix, may, _ in WAIVED):
                continue
            yield cpp_source.line_of(code, match.start()), f'"{match.group(0).strip()}": {reason}'
    for pattern, reason in COMMENT_BANS:
        for match in re.finditer(pattern, text):
            if code[match.start()] == " ":  # Blanked: it stands in a comment or a literal.
                yield cpp_source.line_of(text, match.start()), f'"{match.group(0)}": {reason}'


def check_cpp(path, text):
    code = cpp_source.blank(text)
    if path.endswith(".h") and not text.startswith("#pragma once") and "\n#pragma once" not in text:
        if not path.startswith("bpf/"):  # bpf/ is C for two compilers and may use guards.
            yield 1, "header without #pragma once"
    yield from check_bans(path, text, code)
    yield from check_function_lengths(path, code)
    yield from check_lambda_coroutines(code)
    yield from check_awaits(code)


def check_file(path, text):
    """Yields (line, message) for each offence of one file."""
    name = path.rsplit("/", 1)[-1]
    if BANNED_FILE_NAMES.search(name):
        yield 1, "a file is named after its concept, not util, common, manager, helper or impl"
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield number, f"{len(line)} columns; {COLUMNS_MAX} at most"
        if line != line.rstrip() or "\t" in line and not re.search(r"\.(sh|py)$", path):
            yield number, "trailing space or tab"
    limit = LINES_MAX.get(pathlib.PurePath(path).suffix)
    if limit and len(lines) > limit:
        yield 1, f"{len(lines)} lines; {limit} at most: look for the hidden concept"
    if path.endswith(cpp_source.SOURCE_SUFFIXES):
        yield from check_cpp(path, text)


def check_unbuilt(files, read):
    """Yields (path, message) for sources that no target builds and headers that nobody includes."""
    builds = " ".join(read(path) for path in files
                      if path.endswith((".cmake", "CMakeLists.txt")) or path.startswith("Makefile"))
    included = {include for path in files if path.endswith(cpp_source.SOURCE_SUFFIXES)
                for _, include, _ in cpp_source.includes(read(path))}
    for path in files:
        name = path.rsplit("/", 1)[-1]
        if path.endswith(".bpf.c"):
            built = name in builds or "*.bpf.c" in builds
        elif path.endswith((".cc", ".c")):
            built = re.search(rf"(?<![\w-]){re.escape(name)}(?!\w)", builds)
        elif path.endswith(".h"):
            built = path in included or name in included
        else:
            continue
        if not built:
            yield path, "no target builds it and nobody includes it"


def check_tree(root):
    files = [path for path in cpp_source.tracked_files(root) if not path.startswith("third_party/")]
    texts = {}

    def read(path):
        if path not in texts:
            texts[path] = (root / path).read_text(errors="replace")
        return texts[path]

    for path in sorted(files):
        if path.endswith(CHECKED_SUFFIXES):
            for line, message in sorted(check_file(path, read(path))):
                yield f"{path}:{line}: {message}"
    for path, message in check_unbuilt(files, read):
        yield f"{path}:1: {message}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
    offences = list(check_tree(root))
    for offence in offences:
        print(offence)
    print(f"tidy: {len(offences)} offences", file=sys.stderr)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
