"""Prints which tests a run skipped and why; exits with 1 where tests of the HTML page are missing or skipped.

python .ci/skipped.py REPORT    REPORT is the JUnit XML file of a pytest run
"""

from __future__ import annotations

import sys
from collections import Counter
from xml.etree import ElementTree

PAGE_TESTS = "test_page"
"""Part of the module name of the page's tests."""


def main(report: str) -> int:
    skipped: Counter[str] = Counter()
    page_run, page_skipped = 0, 0
    for case in ElementTree.parse(report).iter("testcase"):
        # A module that is skipped as a whole is one case, with its name in place of the class's.
        is_page = PAGE_TESTS in case.get("classname", "") or PAGE_TESTS in case.get("name", "")
        reason = case.find("skipped")
        if reason is not None:
            skipped[reason.get("message", "no reason given")] += 1
        page_skipped += is_page and reason is not None
        page_run += is_page and reason is None
    print(f"skipped tests: {skipped.total()}")
    for message, count in skipped.most_common():
        print(f"  {count} x {message}")
    print(f"tests of the page: {page_run} run, {page_skipped} skipped")
    if page_skipped or not page_run:
        print("the tests of the page have to run: install Chromium, or name it in FERWATCH_CHROMIUM", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
