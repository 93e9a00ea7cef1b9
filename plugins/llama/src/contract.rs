//! The contract's types under short names: one place to see which of them this plugin uses.

pub use skep_sdk::engine_bindings::skep::plugin::compute::{
    Activation, ActivateOp, AttentionOp, Batch, Bounds, CacheLayer, Device, Dtype, EmbedOp, GatedOp,
    Index, LayerNormOp, MatmulOp, Op, Output, OutputWant, PairOp, Pairing, PoolOp, Pooling,
    RmsNormOp, RopeOp, RunSequence, ScalarOp, SliceOp, Top, TopWant, VectorOp, Want,
};
pub use skep_sdk::engine_bindings::skep::plugin::model_types::{
    Abilities, Candidate, Embedding, EmbeddingRequest, Event, Finish, Gain, Generation, Load,
    Message, ModelInfo, Prompt, Sampling, Settings, TokenLogprob, Usage, Work,
};
pub use skep_sdk::engine_bindings::skep::plugin::types::{Error, Invalid};
