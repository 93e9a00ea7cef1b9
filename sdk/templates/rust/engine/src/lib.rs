//! An engine: it says a prompt back, one word in each step, and embeds a text as its length.
//!
//! A real one opens the model's files in `open`, records a graph of operations by `skep_sdk::engine::compute`, and runs it in `step`
//! for all requests at once.

use skep_sdk::engine::{
    Abilities, Embedding, Engine, Error, Event, File, Finish, Gain, Load, ModelInfo, Prompt,
    Settings, Usage, Work,
};

/// The model, and the requests under way.
#[derive(Debug, Default)]
pub struct Echo {
    requests: Vec<Request>,
}

#[derive(Debug)]
struct Request {
    id: u64,
    work: Answer,
    usage: Usage,
    started: bool,
}

#[derive(Debug)]
enum Answer {
    /// What is still to be said, last word first.
    Words(Vec<String>),
    Embeddings(Vec<f32>),
    Cancelled,
}

impl Engine for Echo {
    fn open(_: Vec<File>, _: Option<File>, _: Settings) -> Result<Self, Error> {
        Ok(Self::default())
    }

    fn info(&self) -> ModelInfo {
        ModelInfo {
            architecture: "echo".to_owned(),
            name: "Echo".to_owned(),
            parameters: 0,
            quantisation: "none".to_owned(),
            vocabulary: 256,
            context_tokens: 1 << 20,
            trained_context_tokens: 1 << 20,
            embedding_width: 1,
            sequences: 4096,
            cache_bytes: 0,
            abilities: Abilities::CHAT | Abilities::COMPLETE | Abilities::EMBED,
        }
    }

    fn submit(&mut self, request: u64, work: Work) -> Result<(), Error> {
        let mut usage = Usage {
            prompt_tokens: 0,
            cached_tokens: 0,
            completion_tokens: 0,
        };
        let work = match work {
            Work::Generate(generation) => {
                if generation.choices != 1 {
                    return Err(Error::Unsupported("an echo gives one answer".into()));
                }
                let text = text(generation.prompt);
                let mut words: Vec<_> = text.split_inclusive(' ').map(str::to_owned).collect();
                usage.prompt_tokens = count(words.len());
                words.truncate(generation.max_tokens.unwrap_or(u32::MAX) as usize);
                words.reverse();
                // A word is one token, named after how many follow it; what another instance said is said.
                if let Some(there) = generation.continued.first() {
                    words.truncate(words.len().saturating_sub(there.tokens.len()));
                    usage.completion_tokens = count(there.tokens.len());
                }
                Answer::Words(words)
            }
            Work::Embed(embed) => {
                let lengths: Vec<_> = embed
                    .inputs
                    .into_iter()
                    .map(|input| text(input).len() as f32)
                    .collect();
                usage.prompt_tokens = count(lengths.len());
                Answer::Embeddings(lengths)
            }
        };
        self.requests.push(Request {
            id: request,
            work,
            usage,
            started: false,
        });
        Ok(())
    }

    fn cancel(&mut self, request: u64) {
        for known in &mut self.requests {
            if known.id == request {
                known.work = Answer::Cancelled;
            }
        }
    }

    fn step(&mut self) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        self.requests
            .retain_mut(|request| request.step(&mut events));
        Ok(events)
    }

    fn load(&self) -> Load {
        Load {
            running: count(self.requests.len()),
            waiting: 0,
            cache_pages: 0,
            cache_pages_used: 0,
            guessed: 0,
            guesses_kept: 0,
        }
    }

    fn tokenize(&self, text: &str) -> Result<Vec<u32>, Error> {
        Ok(text.bytes().map(u32::from).collect())
    }

    fn detokenize(&self, tokens: &[u32]) -> Result<String, Error> {
        let bytes: Result<Vec<u8>, _> = tokens.iter().map(|token| u8::try_from(*token)).collect();
        let bytes = bytes.map_err(|_| Error::invalid("tokens", "a token is a byte"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Request {
    /// Whether it goes on.
    fn step(&mut self, events: &mut Vec<Event>) -> bool {
        match &mut self.work {
            Answer::Words(words) => {
                if !self.started {
                    self.started = true;
                    events.push(Event::Started((self.id, self.usage)));
                }
                let word = words.pop();
                let tokens = match word {
                    Some(_) => vec![count(words.len())],
                    None => Vec::new(),
                };
                self.usage.completion_tokens += count(tokens.len());
                let finish = words.is_empty().then_some(Finish::Stop);
                let over = finish.is_some();
                events.push(Event::Gained(Gain {
                    request: self.id,
                    choice: 0,
                    text: word.unwrap_or_default(),
                    tokens,
                    logprobs: Vec::new(),
                    finish,
                }));
                if !over {
                    return true;
                }
            }
            Answer::Embeddings(lengths) => {
                for (index, length) in lengths.iter().enumerate() {
                    let embedding = Embedding {
                        request: self.id,
                        index: count(index),
                        values: vec![*length],
                    };
                    events.push(Event::Embedded(embedding));
                }
            }
            Answer::Cancelled => {}
        }
        events.push(Event::Done((self.id, self.usage)));
        false
    }
}

fn text(prompt: Prompt) -> String {
    match prompt {
        Prompt::Chat(mut messages) => messages
            .pop()
            .map(|message| message.content)
            .unwrap_or_default(),
        Prompt::Text(text) => text,
        Prompt::Tokens(tokens) => tokens.iter().map(|token| format!("{token} ")).collect(),
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

skep_sdk::engine!(Echo);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_text_is_its_embedding() {
        let mut echo = Echo::default();
        let inputs = vec![Prompt::Text("four".into())];
        let work = Work::Embed(skep_sdk::engine::EmbeddingRequest { inputs });
        echo.submit(7, work).expect("there is room");
        let events = echo.step().expect("nothing can fail");
        assert!(matches!(&events[0], Event::Embedded(found) if found.values == [4.0]));
        assert!(matches!(&events[1], Event::Done((7, _))));
    }
}
