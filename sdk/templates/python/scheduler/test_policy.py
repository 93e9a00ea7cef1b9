"""`python3 -m unittest`"""

import unittest
from types import SimpleNamespace

from policy import Cluster


class Fewest(unittest.TestCase):
    def test_the_one_with_the_fewest_requests_comes_first(self):
        cluster = Cluster(ready="ready", lost="lost")
        for id, running in [(1, 5), (2, 1), (3, 3)]:
            cluster.replicas[id] = SimpleNamespace(
                id=id, model="tiny", node="n1", devices=[], state="ready", running=running
            )
        ready, _ = cluster.seats("tiny")
        self.assertEqual([r.id for r in ready], [2, 3, 1])
