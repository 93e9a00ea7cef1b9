"""`python3 -m unittest`"""

import unittest

from answer import Answer, Events, Refusal, models, refusal

STREAM = (
    'data: {"choices":[{"index":0,"delta":{"content":"hé 🐝"}}]}\r\n\r\n: a comment\n'
    'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\ndata: [DONE]\n\n'
).encode()


class Answers(unittest.TestCase):
    def test_an_answer_is_the_same_however_it_is_cut(self):
        for size in range(1, 40):
            events, answer, told = Events(), Answer(1), []
            for at in range(0, len(STREAM), size):
                for data in events.push(STREAM[at : at + size]):
                    told += answer.take(data)
            self.assertEqual(told, [("gained", 0, "hé 🐝", None), ("gained", 0, "", "stop"), ("done", (3, 0, 2))])

    def test_an_answer_that_is_cut_off_is_not_taken_for_a_whole_one(self):
        with self.assertRaises(Refusal) as caught:
            Answer(1).end()
        self.assertEqual(caught.exception.case, "other")

    def test_what_is_wrong_is_told_by_its_kind(self):
        for body in (b"no JSON", b"[1]", b'{"data":7}', b'{"data":[{"id":7}]}', b"\xff", b"[" * 100_000, b'{"a":' * 65 + b"0" + b"}" * 65):
            with self.assertRaises(Refusal) as caught:
                models(body)
            self.assertEqual(caught.exception.case, "malformed")
        flat = b'{"data":[' + b",".join([b'{"id":"[[["}'] * 200) + b"]}"
        self.assertEqual(len(models(flat)), 200)
        for status, case in [(429, "exhausted"), (401, "denied"), (500, "other"), (404, "invalid")]:
            self.assertEqual(refusal(status, "", None).case, case)
        self.assertEqual(refusal(400, '{"error":{"message":"no","param":"n"}}', None).field, "n")
