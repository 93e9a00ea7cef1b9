"""`python3 -m unittest`"""

import unittest

from echo import Echo


def run(echo):
    told = []
    while events := echo.step():
        told += events
    return told


class Echoes(unittest.TestCase):
    def test_a_prompt_comes_back_word_by_word(self):
        echo = Echo()
        echo.generate(1, "one two three", None, 0)
        echo.generate(2, "uno dos", 1, 0)
        told = run(echo)
        said = {identity: "" for identity in (1, 2)}
        for kind, identity, *rest in told:
            if kind == "gained":
                said[identity] += rest[0]
        self.assertEqual(said, {1: "one two three", 2: "uno "})
        self.assertEqual(echo.requests, {})

    def test_the_length_of_a_text_is_its_embedding(self):
        echo = Echo()
        echo.embed(7, ["four"])
        self.assertEqual(run(echo), [("embedded", 7, 0, [4.0]), ("done", 7, (1, 0, 0))])

    def test_what_is_cancelled_is_done_with_the_next_step(self):
        echo = Echo()
        echo.generate(1, "one two three", None, 0)
        echo.cancel(1)
        self.assertEqual([kind for kind, *_ in run(echo)], ["done"])
