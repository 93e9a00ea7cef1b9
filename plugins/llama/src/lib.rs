//! Under construction.

pub mod gguf;
pub mod tokenizer;
