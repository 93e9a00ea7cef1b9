"""One open model, which the host calls. What an exported interface has for resources is looked for in a module of its name, this one."""

from componentize_py_types import Err
from wit_world.exports import model
from wit_world.imports import model_types as m
from wit_world.imports import types as t

from echo import VOCABULARY, Echo


class Instance(model.Instance):
    def __init__(self):
        self.echo = Echo()

    @classmethod
    def open(cls, files, draft, settings):
        # The files are there to be read; an echo needs nothing of them.
        return cls()

    def info(self):
        can = m.Abilities.CHAT | m.Abilities.COMPLETE | m.Abilities.EMBED
        return m.ModelInfo("echo", "Echo", 0, "none", VOCABULARY, 1 << 20, 1 << 20, 1, 4096, 0, can)

    def submit(self, request, work):
        match work:
            case m.Work_Generate(it) if it.choices != 1:
                raise Err(t.Error_Unsupported("an echo gives one answer"))
            case m.Work_Generate(it):
                said = len(it.continued[0].tokens) if it.continued else 0
                self.echo.generate(request, text(it.prompt), it.max_tokens, said)
            case m.Work_Embed(it):
                self.echo.embed(request, [text(one) for one in it.inputs])

    def cancel(self, request):
        self.echo.cancel(request)

    def step(self):
        return [event(*told) for told in self.echo.step()]

    def load(self):
        return m.Load(len(self.echo.requests), 0, 0, 0, 0, 0)

    def tokenize(self, text):
        return list(text.encode())

    def detokenize(self, tokens):
        if any(token >= VOCABULARY for token in tokens):
            raise Err(t.Error_Invalid(t.Invalid("tokens", "a token is a byte")))
        return bytes(tokens).decode("utf-8", "replace")


def event(kind, request, *told):
    match kind:
        case "started":
            return m.Event_Started((request, m.Usage(*told[0])))
        case "gained":
            text, tokens, is_over = told
            finish = m.Finish.STOP if is_over else None
            return m.Event_Gained(m.Gain(request, 0, text, tokens, [], finish))
        case "embedded":
            return m.Event_Embedded(m.Embedding(request, *told))
        case _:
            return m.Event_Done((request, m.Usage(*told[0])))


def text(prompt):
    match prompt:
        case m.Prompt_Chat(messages):
            return messages[-1].content if messages else ""
        case m.Prompt_Text(said):
            return said
        case m.Prompt_Tokens(tokens):
            return "".join(f"{token} " for token in tokens)
