"""python3 -m unittest scripts/fuzz_coverage_test.py"""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import fuzz_coverage  # noqa: E402

TARGET = fuzz_coverage.Target("x_fuzz", "/t/corpus", ["/t/a.cc", "/t/b.cc"])


class FuzzCoverage(unittest.TestCase):
    def test_reads_what_cmake_writes(self):
        targets = fuzz_coverage.read_targets("x_fuzz /t/corpus /t/sub/../a.cc /t/b.cc\n\n")
        self.assertEqual(targets, [TARGET])

    def test_takes_each_files_share_from_the_report(self):
        report = {"data": [{"files": [{"filename": "/t/a.cc", "summary": {"lines": {"percent": 80.5}}}]}]}
        self.assertEqual(fuzz_coverage.line_percents(report), {"/t/a.cc": 80.5})

    def test_accepts_files_at_the_least_share(self):
        rows, offences = fuzz_coverage.judge(TARGET, {"/t/a.cc": 80.0, "/t/b.cc": 100.0})
        self.assertEqual((len(rows), offences), (2, []))

    def test_names_the_file_that_the_corpus_does_not_run(self):
        _, offences = fuzz_coverage.judge(TARGET, {"/t/a.cc": 79.0, "/t/b.cc": 100.0})
        self.assertEqual(len(offences), 1)
        self.assertIn("t/a.cc", offences[0])

    def test_a_file_that_was_not_measured_is_no_success(self):
        _, offences = fuzz_coverage.judge(TARGET, {"/t/a.cc": 100.0})
        self.assertEqual(len(offences), 1)
        self.assertIn("t/b.cc", offences[0])


if __name__ == "__main__":
    unittest.main()
