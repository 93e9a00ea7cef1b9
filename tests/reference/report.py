"""Counts and prints the results of checks; every script here ends with `N passed, N failed`."""

import sys
import traceback


class Checks:
    """One run's results."""

    def __init__(self):
        self.passed = self.failed = 0

    def verdict(self, label, good, detail=""):
        """Counts one result and prints it at once."""
        self.passed, self.failed = self.passed + bool(good), self.failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {label:50} {detail}".rstrip(), flush=True)

    def check(self, label, error, bound):
        """An error that must not exceed its bound (a NaN does)."""
        self.verdict(label, error <= bound, f"error {error:.2e}, bound {bound:.1e}")

    def attempt(self, label, action, *arguments):
        """Runs a check that reports by itself, or by raising; an exception is one failure."""
        before = self.passed + self.failed
        try:
            detail = action(*arguments)
        except Exception as error:  # whatever goes wrong belongs to this check alone
            place = traceback.extract_tb(sys.exc_info()[2])[-1]
            reason = str(error) or f"`{place.line}` does not hold"
            self.verdict(label, False, f"{type(error).__name__}: {reason[:300]} ({place.name}:{place.lineno})")
            return
        if self.passed + self.failed == before:
            self.verdict(label, True, detail or "")

    def finish(self):
        """Prints the closing line; the process's exit status."""
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0
