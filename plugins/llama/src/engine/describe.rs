//! What a file says about itself, for people.

use std::collections::BTreeMap;

use crate::contract::{Abilities, Error, ModelInfo};
use crate::gguf::Gguf;

/// The facts that do not depend on how the model is opened; the others are zero.
pub(super) fn model(gguf: &Gguf, vocabulary: u32) -> Result<ModelInfo, Error> {
    let architecture: &str = gguf.required("general.architecture")?;
    let name = gguf
        .metadata
        .optional::<&str>("general.name")
        .ok()
        .flatten();
    Ok(ModelInfo {
        architecture: architecture.to_owned(),
        name: name
            .unwrap_or_default()
            .chars()
            .take(NAME_CHARS_MAX)
            .collect(),
        parameters: gguf.tensors.values().map(|tensor| tensor.elements()).sum(),
        quantisation: quantisation(gguf),
        vocabulary,
        context_tokens: 0,
        trained_context_tokens: 0,
        embedding_width: 0,
        sequences: 0,
        cache_bytes: 0,
        abilities: Abilities::empty(),
    })
}

/// Longer names are no names.
const NAME_CHARS_MAX: usize = 256;

/// The mix that the file names, or the type that most of its bytes have.
fn quantisation(gguf: &Gguf) -> String {
    let code = gguf.optional::<u32>("general.file_type").ok().flatten();
    if let Some((_, name)) = MIXES.iter().find(|(known, _)| Some(*known) == code) {
        return (*name).to_owned();
    }
    let mut bytes = BTreeMap::new();
    for tensor in gguf.tensors.values() {
        *bytes.entry(tensor.kind.name()).or_insert(0_u64) += tensor.length_bytes;
    }
    let most = bytes.into_iter().max_by_key(|&(_, bytes)| bytes);
    most.map(|(name, _)| name.to_owned()).unwrap_or_default()
}

/// `enum llama_ftype` of llama.cpp, the mixes of types that this plugin runs.
const MIXES: [(u32, &str); 12] = [
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (14, "Q4_K_S"),
    (15, "Q4_K_M"),
    (16, "Q5_K_S"),
    (17, "Q5_K_M"),
    (18, "Q6_K"),
];
