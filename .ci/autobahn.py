"""Runs the Autobahn fuzzing client against ws://HOST:PORT/echo and judges its report, strictly.

usage: autobahn.py PACKAGES OUTDIR HOST:PORT CASES...      (Python 2.7, which the suite needs)
"""
import json
import os
import site
import sys

# Cases without a right answer: the suite never calls them anything but informational.
INFORMATIONAL = {
    "7.1.6": "a message of 256 KiB and a close frame at once: how much of the echo arrives depends on timing",
    "7.13.1": "close code 5000, which the RFC leaves undefined",
    "7.13.2": "close code 65535, the same",
}
# What an offer of permessage-deflate that the server can't honour must end in. There is none: every window is served.
DECLINED = {}


def run(outdir, url, cases):
    spec = {
        "outdir": outdir, "servers": [{"agent": "lectern", "url": url}], "cases": cases, "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    path = os.path.join(outdir, "spec.json")
    with open(path, "w") as f:
        json.dump(spec, f)
    sys.argv = ["wstest", "-m", "fuzzingclient", "-s", path]
    from autobahntestsuite.wstest import run
    try:
        run()
    except SystemExit as end:
        if end.code:
            raise


def judge(outdir):
    with open(os.path.join(outdir, "index.json")) as f:
        results = json.load(f)["lectern"]
    passed = bad = 0
    for case in sorted(results, key=lambda c: [int(n) for n in c.split(".")]):
        got = results[case]["behavior"], results[case]["behaviorClose"]
        if got == ("OK", "OK"):
            passed += 1
        elif got[0] == "INFORMATIONAL" and case in INFORMATIONAL:
            print("informational  %s: %s" % (case, INFORMATIONAL[case]))
        elif got[0] == "UNIMPLEMENTED" and case in DECLINED:
            print("declined       %s: %s" % (case, DECLINED[case]))
        else:
            bad += 1
            print("NOT OK         %s: %s, closing %s; see lectern_case_%s.html" % (
                case, got[0], got[1], case.replace(".", "_")))
    print("%d cases: %d OK, %d not" % (len(results), passed, bad))
    return 0 if results and not bad else 1


if __name__ == "__main__":
    packages, outdir, address = sys.argv[1:4]
    site.addsitedir(packages)
    sys.path.insert(0, packages)
    run(outdir, "ws://%s/echo" % address, sys.argv[4:])
    sys.exit(judge(outdir))
