"""`python3 -m unittest`"""

import json
import unittest
from types import SimpleNamespace

from alert import body, refusal, rfc3339


class Alerts(unittest.TestCase):
    def test_everything_is_in_the_object(self):
        alert = SimpleNamespace(
            id="7", kind="node.down", severity=SimpleNamespace(name="CRITICAL"), title='node "b" is down', text="",
            cluster="home", node=None, at_unix_s=951_782_400, resolved=False, facts=[("since", "2 min")],
        )
        made = json.loads(body(alert))
        self.assertEqual(made["title"], alert.title)
        self.assertEqual(made["severity"], "critical")
        self.assertEqual(made["facts"], {"since": "2 min"})

    def test_moments(self):
        for unix_s, expected in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (2**64 - 1, "9999-12-31T23:59:59Z"),
        ]:
            self.assertEqual(rfc3339(unix_s), expected)

    def test_only_what_may_be_better_later_is_tried_again(self):
        def again(status):
            return refusal(status, "no")[0] in ("exhausted", "other")

        for status in (408, 429, 500, 503):
            self.assertTrue(again(status), status)
        for status in (301, 400, 401, 404, 413):
            self.assertFalse(again(status), status)
        self.assertIsNone(refusal(204, ""))
