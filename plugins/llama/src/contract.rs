//! The contract's types under short names: one place to see which of them this plugin uses.

pub use skep_sdk::engine::compute::{
    ActivateOp, Activation, AttentionOp, Batch, Bounds, CacheLayer, Device, Dtype, EmbedOp,
    GatedOp, Index, LayerNormOp, MatmulOp, Op, Output, OutputWant, PairOp, Pairing, PoolOp,
    Pooling, RmsNormOp, RopeOp, RunSequence, ScalarOp, Top, TopWant, VectorOp, Want,
};
pub use skep_sdk::engine::{
    Abilities, CacheType, Candidate, Continued, Embedding, EmbeddingRequest, Error, Event, File,
    Finish, Gain, Generation, Invalid, Load, Message, ModelInfo, Prompt, Sampling, Settings,
    TokenLogprob, Usage, Work,
};
