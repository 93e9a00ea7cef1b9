//! One open model behind the contract: opens files, hands requests to the batcher or the embedder, and answers what
//! the host asks. Decides nothing that another file could.

use std::rc::Rc;

mod describe;
mod draft;

use crate::arch::{self, Network, Yields};
use crate::batch::{Batcher, Embedder};
use crate::chat::Chat;
use crate::contract::{Abilities, Error, Event, File, Load, ModelInfo, Settings, Work};
use crate::device::{self, Compiled};
use crate::error::{invalid, malformed, unsupported};
use crate::gguf::Gguf;
use crate::policy::{Room, embed_bounds};
use crate::prompt::Reader;
use crate::tokenizer::Tokenizer;
use draft::Small;
use skep_sdk::engine::{Engine, log};

/// An open model.
#[derive(Debug)]
pub struct Llama {
    info: ModelInfo,
    reader: Reader,
    runs: Runs,
}

#[derive(Debug)]
enum Runs {
    Text(Box<Batcher<Compiled>>),
    Embeddings(Embedder<Compiled>),
}

impl Engine for Llama {
    fn open(files: Vec<File>, draft: Option<File>, settings: Settings) -> Result<Self, Error> {
        let file = files
            .first()
            .ok_or_else(|| malformed("no file was given"))?;
        let gguf = Gguf::parse(file)?;
        refuse_split(&gguf)?;
        let tokenizer = Rc::new(Tokenizer::from_gguf(&gguf)?);
        let vocabulary = tokenizer.vocab_len() as u32;
        let network = arch::record(&gguf, file, vocabulary, None)?;
        let chat = Chat::new(&gguf, &tokenizer)?;
        let opened = match network.yields {
            Yields::Logits => {
                let draft = draft.as_ref().filter(|_| settings.speculate);
                open_text(&gguf, file, network, draft, &tokenizer, &settings)?
            }
            Yields::Embedding { .. } => open_embedder(&gguf, file, &network, &settings)?,
        };
        let (runs, info) = opened;
        let reader = Reader {
            tokenizer,
            chat,
            context: info.context_tokens as usize,
        };
        Ok(Self { info, reader, runs })
    }

    fn info(&self) -> ModelInfo {
        self.info.clone()
    }

    fn submit(&mut self, request: u64, work: Work) -> Result<(), Error> {
        match (&mut self.runs, work) {
            (Runs::Text(batcher), Work::Generate(generation)) => {
                batcher.submit(request, self.reader.job(&generation)?)
            }
            (Runs::Embeddings(embedder), Work::Embed(asked)) => {
                embedder.submit(request, self.reader.inputs(&asked)?)
            }
            (Runs::Text(_), Work::Embed(_)) => Err(unsupported(
                "this model generates text and gives no embeddings; use an embedding model",
            )),
            (Runs::Embeddings(_), Work::Generate(_)) => Err(unsupported(
                "this model gives embeddings and generates no text; use another model",
            )),
        }
    }

    fn cancel(&mut self, request: u64) {
        match &mut self.runs {
            Runs::Text(batcher) => batcher.cancel(request),
            Runs::Embeddings(embedder) => embedder.cancel(request),
        }
    }

    fn step(&mut self) -> Result<Vec<Event>, Error> {
        match &mut self.runs {
            Runs::Text(batcher) => batcher.step(),
            Runs::Embeddings(embedder) => embedder.step(),
        }
    }

    fn load(&self) -> Load {
        match &self.runs {
            Runs::Text(batcher) => batcher.load(),
            Runs::Embeddings(embedder) => embedder.load(),
        }
    }

    fn tokenize(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.reader.tokenize("text", text)
    }

    fn detokenize(&self, tokens: &[u32]) -> Result<String, Error> {
        if tokens.len() > crate::limits::PROMPT_TOKENS_MAX {
            return Err(invalid("tokens", format!("has {} tokens", tokens.len())));
        }
        let tokens = self.reader.checked("tokens", tokens)?;
        Ok(self.reader.tokenizer.decode(&tokens, true))
    }
}

fn open_text(
    gguf: &Gguf,
    file: &File,
    mut network: Network,
    draft: Option<&File>,
    tokenizer: &Rc<Tokenizer>,
    settings: &Settings,
) -> Result<(Runs, ModelInfo), Error> {
    let device = device::info();
    let draft = draft.map(|file| Small::read(file, tokenizer)).transpose()?;
    let own: u64 = gguf
        .tensors
        .values()
        .map(|tensor| tensor.length_bytes)
        .sum();
    let room = Room::plan(
        &network,
        settings,
        device.memory_free_bytes,
        own.saturating_add(draft.as_ref().map_or(0, Small::weights_bytes)),
        draft.as_ref().map_or(0, Small::page_bytes),
    )?;
    if let Some(remark) = room.remark(settings) {
        log::write(log::Level::Info, &remark);
    }
    if room.context != network.trained_context {
        // How long sequences become may choose between rotary factors.
        let vocabulary = tokenizer.vocab_len() as u32;
        network = arch::record(gguf, file, vocabulary, Some(room.context))?;
    }
    let plan = device::compile(file, &network, Some(room.cache), room.plan_bounds())?;
    let mut info = describe::model(gguf, tokenizer.vocab_len() as u32)?;
    info.context_tokens = room.context;
    info.trained_context_tokens = network.trained_context;
    info.sequences = room.sequences;
    info.cache_bytes = plan.cache_bytes();
    let draft = draft.map(|draft| draft.compile(&room, &device.kind));
    let draft = draft.transpose()?.map(|(draft, cache_bytes)| {
        info.cache_bytes += cache_bytes;
        draft
    });
    info.abilities = Abilities::CHAT | Abilities::COMPLETE;
    let mut batcher = Batcher::new(
        plan,
        tokenizer.clone(),
        room.batch_bounds(&device.kind),
        room.cache.pages,
        room.cache.page_tokens as usize,
    );
    if settings.speculate {
        batcher.speculate(draft);
    }
    Ok((Runs::Text(Box::new(batcher)), info))
}

fn open_embedder(
    gguf: &Gguf,
    file: &File,
    network: &Network,
    settings: &Settings,
) -> Result<(Runs, ModelInfo), Error> {
    let (context, bounds) = embed_bounds(network, settings);
    let plan = device::compile(file, network, None, bounds)?;
    let vocabulary = network.weights.first().map_or(0, |table| table.rows);
    let mut info = describe::model(gguf, vocabulary)?;
    info.context_tokens = context;
    info.trained_context_tokens = network.trained_context;
    info.sequences = bounds.sequences;
    info.abilities = Abilities::EMBED;
    if let Yields::Embedding { width } = network.yields {
        info.embedding_width = width;
    }
    let embedder = Embedder::new(plan, bounds.tokens as usize, bounds.sequences as usize);
    Ok((Runs::Embeddings(embedder), info))
}

fn refuse_split(gguf: &Gguf) -> Result<(), Error> {
    match gguf.optional::<u32>("split.count")? {
        Some(parts) if parts > 1 => Err(unsupported(format!(
            "the model is split into {parts} files, which is not supported yet; \
             merge them with `llama-gguf-split --merge`"
        ))),
        _ => Ok(()),
    }
}
