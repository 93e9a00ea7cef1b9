//! Real worker processes with real components, most of them hostile: each is contained, and says what happened.

mod bench;
mod compile;
mod death;
mod hostile;
mod many;
mod scheduler;
