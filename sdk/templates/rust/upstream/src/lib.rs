//! An upstream adapter: a service that answers `POST say` with text.

use skep_sdk::http::{Body, Request, join};
use skep_sdk::upstream::{
    Error, Event, Exchange, Finish, Gain, NoPull, Offer, Prompt, Settings, Upstream, Usage, Work,
};

/// The adapter.
pub struct Say;

/// One request in flight.
pub struct Saying {
    request: u64,
    body: Body,
    ended: bool,
}

impl Upstream for Say {
    type Exchange = Saying;
    type Pull = NoPull;

    fn models(_: Settings) -> Result<Vec<Offer>, Error> {
        Ok(vec![Offer {
            id: "say".into(),
            info: None,
        }])
    }

    fn start(settings: Settings, _: String, request: u64, work: Work) -> Result<Saying, Error> {
        let Work::Generate(work) = work else {
            return Err(Error::Unsupported("this service makes no embeddings".into()));
        };
        let Prompt::Text(text) = work.prompt else {
            return Err(Error::Unsupported("this service takes plain text alone".into()));
        };
        let url = join(settings.need("base-url")?, "say");
        let response = Request::post(url).body(text).send()?;
        if !response.is_success() {
            let status = response.status();
            return Err(Error::Other(format!("the service answered {status}")));
        }
        Ok(Saying {
            request,
            body: response.body(),
            ended: false,
        })
    }

    fn pull(_: Settings, _: String) -> Result<NoPull, Error> {
        Err(Error::Unsupported("this service gets no models".into()))
    }
}

impl Exchange for Saying {
    fn next(&mut self) -> Result<Option<Event>, Error> {
        if self.ended {
            let usage = Usage {
                prompt_tokens: 0,
                cached_tokens: 0,
                completion_tokens: 0,
            };
            return Ok(Some(Event::Done((self.request, usage))));
        }
        let piece = self.body.read()?;
        self.ended = piece.is_none();
        Ok(Some(Event::Gained(Gain {
            request: self.request,
            choice: 0,
            text: String::from_utf8_lossy(&piece.unwrap_or_default()).into_owned(),
            tokens: Vec::new(),
            logprobs: Vec::new(),
            finish: self.ended.then_some(Finish::Stop),
        })))
    }
}

skep_sdk::upstream!(Say);
