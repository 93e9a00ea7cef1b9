//! The smaller model that guesses for another: reads its file, refuses one that speaks in other tokens, and compiles it
//! beside the model.

use super::refuse_split;
use crate::arch::{self, Network, Yields};
use crate::batch::{Draft, DraftBounds};
use crate::contract::{Bounds, Error, File};
use crate::device::{self, CacheSize, Compiled};
use crate::error::unsupported;
use crate::gguf::Gguf;
use crate::policy::{self, Room};
use crate::tokenizer::Tokenizer;

/// A smaller model that is read and not yet compiled.
pub(super) struct Small<'f> {
    file: &'f File,
    gguf: Gguf,
    network: Network,
    /// Its own tokens.
    vocabulary: u32,
    /// The tokens that both have: the first so many.
    shared: u32,
}

impl<'f> Small<'f> {
    /// Reads the file of a smaller model for one with these tokens.
    ///
    /// Fails as `open` does, saying that it is the draft.
    pub(super) fn read(file: &'f File, tokens: &Tokenizer) -> Result<Self, Error> {
        let read = || {
            let gguf = Gguf::parse(file)?;
            refuse_split(&gguf)?;
            let own = Tokenizer::from_gguf(&gguf)?;
            let shared = shared_tokens(&own, tokens)?;
            let vocabulary = own.vocab_len() as u32;
            let network = arch::record(&gguf, file, vocabulary, None)?;
            if network.yields != Yields::Logits {
                return Err(unsupported("it gives embeddings and generates no text"));
            }
            Ok(Self {
                file,
                gguf,
                network,
                vocabulary,
                shared,
            })
        };
        read().map_err(of_draft)
    }

    /// Bytes of its weights.
    pub(super) fn weights_bytes(&self) -> u64 {
        let tensors = self.gguf.tensors.values();
        tensors.map(|tensor| tensor.length_bytes).sum()
    }

    /// Bytes of its keys and values for one page of tokens.
    pub(super) fn page_bytes(&self) -> u64 {
        policy::draft_page(&self.network).1
    }

    /// Compiles it for the rooms of the model. Returns it with the bytes of its cache.
    pub(super) fn compile(
        self,
        room: &Room,
        device: &str,
    ) -> Result<(Draft<Compiled>, u64), Error> {
        let context = room.context.min(self.network.trained_context);
        let run_tokens = room.draft_tokens(device);
        let cache = CacheSize {
            dtype: policy::draft_page(&self.network).0,
            ..room.cache
        };
        let bounds = Bounds {
            tokens: run_tokens,
            sequences: room.sequences,
            outputs: room.sequences,
        };
        let compile = || {
            // How long sequences become may choose between rotary factors.
            let network = arch::record(&self.gguf, self.file, self.vocabulary, Some(context))?;
            device::compile(self.file, &network, Some(cache), bounds)
        };
        let plan = compile().map_err(of_draft)?;
        let cache_bytes = plan.cache_bytes();
        let bounds = DraftBounds {
            vocabulary: self.shared,
            context: context as usize,
            run_tokens: run_tokens as usize,
        };
        Ok((Draft::new(plan, bounds), cache_bytes))
    }
}

/// How many tokens both have. One of them may go on with further ones, as files that fill up their tables do.
fn shared_tokens(draft: &Tokenizer, model: &Tokenizer) -> Result<u32, Error> {
    let shared = draft.vocab_len().min(model.vocab_len()) as u32;
    let text =
        |tokens: &Tokenizer, id| String::from_utf8_lossy(tokens.token_bytes(id)).into_owned();
    match (0..shared).find(|&id| draft.token_bytes(id) != model.token_bytes(id)) {
        None => Ok(shared),
        Some(id) => Err(unsupported(format!(
            "its token {id} is {:?} where the model's is {:?}; a draft needs the vocabulary of the model",
            text(draft, id),
            text(model, id),
        ))),
    }
}

/// The same, saying of which file it is.
fn of_draft(error: Error) -> Error {
    let named = |why| format!("the draft model: {why}");
    match error {
        Error::Malformed(why) => Error::Malformed(named(why)),
        Error::Unsupported(why) => Error::Unsupported(named(why)),
        Error::Exhausted(why) => Error::Exhausted(named(why)),
        Error::Other(why) => Error::Other(named(why)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{byte_tokenizer, byte_tokenizer_of};

    #[test]
    fn tokens_have_to_be_the_same() {
        let model = byte_tokenizer();
        assert_eq!(shared_tokens(&byte_tokenizer(), &model).unwrap(), 258);
        let longer = byte_tokenizer_of(&["<|end|>", "<|poison|>", "<|more|>"]);
        assert_eq!(shared_tokens(&longer, &model).unwrap(), 258);
        assert_eq!(shared_tokens(&model, &longer).unwrap(), 258);
        let other = byte_tokenizer_of(&["<|stop|>", "<|poison|>"]);
        let Err(Error::Unsupported(why)) = shared_tokens(&other, &model) else {
            panic!("token 256 is another one");
        };
        assert!(why.contains("token 256 is \"<|stop|>\""), "{why}");
    }
}
