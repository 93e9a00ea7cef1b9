//! A model backend as a sandboxed plugin: reads GGUF files, records what their architecture computes, and turns the
//! numbers that the host's kernels return into text and embeddings for many requests at once.
//!
//! It decides everything about models and requests. It knows nothing of kernels, files' paths, users or the network.

pub mod arch;
pub mod batch;
pub mod chat;
pub mod contract;
pub mod device;
pub mod engine;
pub mod error;
pub mod gguf;
pub mod limits;
pub mod policy;
pub mod prompt;
pub mod sample;
pub mod speculate;
pub mod text;
pub mod tokenizer;

skep_sdk::engine!(engine::Llama);
