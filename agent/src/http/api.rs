//! `/api/v1`.
use std::sync::Arc;
pub fn routes() -> axum::Router<Arc<crate::agent::Agent>> { axum::Router::new() }
