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
    /// Bytes of a character whose rest has not come.
    begun: Vec<u8>,
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
        let text = text(work.prompt)?;
        let url = join(settings.need("base-url")?, "say");
        let response = Request::post(url).body(text).send()?;
        if !response.is_success() {
            let status = response.status();
            return Err(Error::Other(format!("the service answered {status}")));
        }
        Ok(Saying {
            request,
            body: response.body(),
            begun: Vec::new(),
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
        let mut text = String::new();
        while text.is_empty() && !self.ended {
            match self.body.read()? {
                Some(piece) => self.begun.extend(piece),
                None => self.ended = true,
            }
            text = characters(&mut self.begun, self.ended);
        }
        Ok(Some(Event::Gained(Gain {
            request: self.request,
            choice: 0,
            text,
            tokens: Vec::new(),
            logprobs: Vec::new(),
            finish: self.ended.then_some(Finish::Stop),
        })))
    }
}

/// What the service is sent: of a conversation, a line for each message.
fn text(prompt: Prompt) -> Result<String, Error> {
    match prompt {
        Prompt::Text(text) => Ok(text),
        Prompt::Chat(messages) => {
            let lines = messages.iter().map(|one| format!("{}: {}\n", one.role, one.content));
            Ok(lines.collect())
        }
        Prompt::Tokens(_) => Err(Error::Unsupported("this service takes text alone".into())),
    }
}

/// The whole characters of what has come. Where pieces of an answer are cut is not the service's choice, and may be within one.
fn characters(come: &mut Vec<u8>, is_all: bool) -> String {
    let whole = match core::str::from_utf8(come) {
        Err(cut) if cut.error_len().is_none() && !is_all => cut.valid_up_to(),
        _ => come.len(),
    };
    let rest = come.split_off(whole);
    let whole = core::mem::replace(come, rest);
    String::from_utf8_lossy(&whole).into_owned()
}

skep_sdk::upstream!(Say);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_never_cut() {
        let mut come = Vec::new();
        let mut heard = Vec::new();
        for piece in "né 🐝".as_bytes().chunks(2) {
            come.extend_from_slice(piece);
            heard.push(characters(&mut come, false));
        }
        assert_eq!(heard, ["n", "é ", "", "🐝"]);
        assert_eq!(characters(&mut vec![b'a', 0xf0, 0x9f], true), "a\u{fffd}");
    }

    #[test]
    fn texts_and_conversations_are_sent() {
        assert_eq!(text(Prompt::Text("hello".into())).expect("a text"), "hello");
        assert!(matches!(text(Prompt::Tokens(vec![1])), Err(Error::Unsupported(_))));
    }
}
