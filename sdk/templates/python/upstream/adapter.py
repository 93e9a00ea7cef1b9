"""What an exported interface has for resources is looked for in a module of its name, this one."""

from wit_world.exports import adapter
from wit_world.imports import model_types as m

import answer
from answer import Refusal
from ask import ask
from service import request, told
from web import refused


class Exchange(adapter.Exchange):
    """One request in flight: an instance each, so that what it holds goes with it."""

    def __init__(self, identity, reply, choices):
        self.identity, self.reply = identity, reply
        self.events, self.answer = answer.Events(), answer.Answer(choices)
        self.told, self.is_over = [], False

    @classmethod
    @told
    def start(cls, settings, model, request_id, work):
        if not isinstance(work, m.Work_Generate):
            raise Refusal("unsupported", "this adapter does not pass on embeddings")
        path, body = ask(model, work.value, m)
        return cls(request_id, request(settings, "Post", path, body), work.value.choices)

    @told
    def next(self):
        while not self.told:
            if self.is_over:
                return None
            piece = self.reply.read()
            if piece is None:
                self.told += self.answer.end()
                break
            for data in self.events.push(piece):
                self.told += self.answer.take(data)
                if self.told and self.told[-1][0] == "done":
                    break
        match self.told.pop(0):
            case "done", usage:
                self.is_over = True
                return m.Event_Done((self.identity, m.Usage(*usage)))
            case _, choice, text, finish:
                finish = finish and m.Finish[finish.upper()]
                return m.Event_Gained(m.Gain(self.identity, choice, text, [], [], finish))


class Pull(adapter.Pull):
    @classmethod
    def start(cls, settings, model):
        raise refused("unsupported", "this service cannot be asked to get a model")

    def next(self):
        return None
