//! OpenAI's endpoints: requests read and checked, answers written as its clients expect them.
//!
//! Decides what a body must look like and what each refusal says. Refuses to know which replica
//! answers (`router`) and how tokens are chosen (the engine).

mod answer;
mod chat;
mod completion;
mod decode;
mod embedding;
mod fields;
mod refusal;
mod request;
mod run;
mod stream;
#[cfg(test)]
mod tests;
mod vectors;
mod whole;

pub(super) use self::run::{answer, models, parse};
