# SPDX-License-Identifier: Apache-2.0
"""Adds up JUnit files of ctest and pytest: explains each skip, names each failure, prints the count."""
import collections
import re
import sys
import xml.etree.ElementTree as ET


def reason(case):
    node = case.find("skipped")
    text = (node.get("message") or "") if node is not None else ""
    out = case.findtext("system-out") or ""
    # GoogleTest prints "file.cc:12: Skipped" and the reason on the next line.
    found = re.search(r": Skipped\n(.+)", out)
    return (found.group(1) if found else text).strip() or "no reason given"


def main(paths):
    passed, failed, skipped = 0, [], collections.defaultdict(list)
    for path in paths:
        for case in ET.parse(path).getroot().iter("testcase"):
            name = f"{path.rsplit('/', 1)[-1][:-4]}: {case.get('classname') or ''}.{case.get('name')}"
            if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
                failed.append(name)
            elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
                skipped[reason(case)].append(name)
            else:
                passed += 1
    for why, names in sorted(skipped.items()):
        print(f"skipped {len(names)}: {why}  (first: {names[0]})")
    for name in failed:
        print(f"FAILED {name}")
    print(f"{passed} passed, {len(failed)} failed, {sum(map(len, skipped.values()))} skipped")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
