"""python3 -m unittest scripts/tidy_test.py"""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cpp_source  # noqa: E402
import tidy  # noqa: E402


def offences(text, path="lib/io/x.cc"):
    return [message for _, message in tidy.check_file(path, text)]


class Bans(unittest.TestCase):
    def test_rejects_each_with_its_reason(self):
        for text, reason in (
                ("std::mutex lock;\n", "post to the loop"),
                ("std::this_thread::sleep_for(x);\n", "use Clock"),
                ("std::function<void()> f;\n", "absl::FunctionRef"),
                ("assert(x);\n", "use CHECK"),
                ("// FIXME later\n", "finish it"),
                ("// TODO: later\n", "names its issue"),
                ("using namespace std;\n", "hides where")):
            with self.subTest(text):
                self.assertTrue(any(reason in message for message in offences(text)), offences(text))

    def test_leaves_comments_strings_and_cold_paths_alone(self):
        for text, path in (
                ("// std::mutex is banned\n", "lib/io/x.cc"),
                ('const char* text = "assert(x)";\n', "lib/io/x.cc"),
                ("std::function<void()> f;\n", "controlplane/app.cc"),
                ("static_assert(sizeof(x) == 4);\n", "lib/io/x.cc"),
                ("system(\"ip link\");\n", "tests/bpf/node.cc"),
                ("#pragma once\nstd::mutex m;\n", "lib/metrics/registry.h"),
                ("// TODO(issue 7): later\n", "lib/io/x.cc")):
            with self.subTest(text):
                self.assertEqual(offences(text, path), [])


class Sizes(unittest.TestCase):
    def test_limits_columns(self):
        self.assertEqual(offences("// " + "x" * 117 + "\n"), [])
        self.assertIn("121 columns", offences("// " + "x" * 118 + "\n")[0])

    def test_limits_functions_wherever_they_stand(self):
        body = "  f();\n" * 69
        for text in (f"void F() {{\n{body}}}\n", f"class X {{\n void F() const {{\n{body}}}\n}};\n",
                     f"namespace a {{\nX::X(int a)\n    : a_(a) {{\n{body}}}\n}}\n",
                     f"Task<void> F(const A& a = {{}}) {{\n{body}}}\n"):
            with self.subTest(text[:40]):
                self.assertEqual(len(offences(text)), 1)
        self.assertEqual(offences("void F() {\n" + "  f();\n" * 68 + "}\n"), [])

    def test_lets_tables_in_tests_be_long(self):
        table = "TEST(A, B) {\n  const Case cases[] = {\n" + "    {1, 2},\n" * 80 + "  };\n}\n"
        self.assertEqual(offences(table, "lib/io/x_test.cc"), [])
        self.assertEqual(len(offences(table, "lib/io/x.cc")), 1)

    def test_limits_headers_more_than_sources(self):
        text = "#pragma once\n" + "int a;\n" * 250
        self.assertEqual(len(offences(text, "lib/io/x.h")), 1)
        self.assertEqual(offences(text, "lib/io/x.cc"), [])


class Coroutines(unittest.TestCase):
    def test_rejects_capturing_lambda_coroutines(self):
        for text in ("auto f = [this] { co_await g(); };", "auto f = [&](int a) -> Task<void> { co_return; };",
                     "scope.Spawn([x = std::move(x)]() mutable -> Task<void> { co_await Go(x); }());"):
            with self.subTest(text):
                self.assertTrue(any("capturing lambda" in m for m in offences(f"void F() {{\n{text}\n}}\n")))

    def test_accepts_lambdas_that_capture_or_await_but_not_both(self):
        for text in ("auto f = [](X* x) -> Task<void> { co_await x->Go(); };", "auto f = [this] { return 1; };",
                     "auto f = [&] { return [](int) -> Task<void> { co_return; }; };",
                     "a[i] = {co_value};", "[[maybe_unused]] auto x = 1;"):
            with self.subTest(text):
                self.assertEqual(offences(f"void F() {{\n{text}\n}}\n"), [])

    def test_rejects_braced_temporaries_around_or_behind_an_await(self):
        for text in ("auto x = co_await Dial({.mark = 1});", "co_await Dial(address, Options{.mark = 1});",
                     "Use(Pair{co_await A(), 1});", "Pair p = {co_await A(), co_await B()};",
                     "CO_TRY(auto s, co_await Dial(a, Options{1}));"):
            with self.subTest(text):
                self.assertTrue(any("name it first" in m for m in offences(f"Task<int> F() {{\n{text}\n}}\n")))

    def test_accepts_named_values_and_blocks(self):
        for text in ("Options o{.mark = 1};\nco_await Dial(o);", "if (co_await A()) {\n  f();\n}",
                     "while (auto s = co_await A(stop_)) {\n  f(s);\n}", "co_await q.Wait({});",
                     "for (auto& x : co_await A()) {\n  f(x);\n}", "{\n  co_await A();\n}",
                     "if (a) {\n  f();\n} else {\n  co_await A();\n}", "do {\n  co_await A();\n} while (b);"):
            with self.subTest(text):
                self.assertEqual(offences(f"Task<int> F() {{\n{text}\n}}\n"), [])


class Unbuilt(unittest.TestCase):
    def test_names_sources_and_headers_that_nothing_reaches(self):
        texts = {"CMakeLists.txt": "heddle_library(x SOURCES a.cc)", "a.cc": '#include "a.h"\n', "a.h": "",
                 "b.cc": "", "b.h": "", "ba.cc": ""}
        self.assertEqual([path for path, _ in tidy.check_unbuilt(list(texts), texts.__getitem__)],
                         ["b.cc", "b.h", "ba.cc"])


class Blank(unittest.TestCase):
    def test_keeps_offsets_and_digit_separators(self):
        for text in ("int a = 1'000'000; // {\n", 'auto s = R"x({ " )x"; f("\\"{");\n', "char c = '{'; /* {\n */\n"):
            with self.subTest(text):
                code = cpp_source.blank(text)
                self.assertEqual(len(code), len(text))
                self.assertNotIn("{", code)
        self.assertIn("1'000'000", cpp_source.blank("int a = 1'000'000;"))


if __name__ == "__main__":
    unittest.main()
