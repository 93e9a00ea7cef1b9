"""An adapter to a service that speaks as OpenAI's does. The component's face, which the host calls; requests are in `adapter.py`."""

from wit_world import exports
from wit_world.exports import adapter

import answer
from service import request, told

MODELS_BYTES = 1 << 20


class Adapter(exports.Adapter):
    @told
    def models(self, settings):
        reply = request(settings, "Get", "models")
        return [adapter.Offer(name, None) for name in answer.models(reply.whole(MODELS_BYTES))]
