//! OpenAI's endpoints: requests read and checked, answers written as its clients expect them.
//!
//! Decides what a body must look like and what each refusal says. Refuses to know which replica
//! answers (`router`) and how tokens are chosen (the engine).

mod chat;
mod completion;
mod decode;
mod embedding;
mod fields;
mod request;
#[cfg(test)]
mod tests;
