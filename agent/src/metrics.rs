//! What is counted and measured, for Prometheus.
//!
//! Decides names, labels and buckets. Refuses to know who scrapes. Labels have few values: an
//! endpoint, a status, a model of the catalogue; never a key, a path or a client's text.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::router::Job;

mod health;
mod render;

pub use self::render::render;

/// Everything that counts up while the agent runs.
#[derive(Debug)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<EndpointLabels, Histogram, fn() -> Histogram>,
    first_tokens: Family<ModelLabels, Histogram, fn() -> Histogram>,
    token_gaps: Family<ModelLabels, Histogram, fn() -> Histogram>,
    tokens: Family<TokenLabels, Counter>,
    pub(crate) connections: Gauge,
    pub(crate) turned_away: Counter,
}

/// Which endpoint a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each says its path")]
pub enum Endpoint {
    Chat,
    Completions,
    Embeddings,
    Models,
    Api,
    Page,
    Health,
    Metrics,
    Other,
}

impl EncodeLabelValue for Endpoint {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let name = match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Models => "models",
            Self::Api => "api",
            Self::Page => "page",
            Self::Health => "health",
            Self::Metrics => "metrics",
            Self::Other => "other",
        };
        name.encode(encoder)
    }
}

impl Metrics {
    /// Empty ones.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "nobody needs one by default")]
    pub fn new() -> Self {
        Self {
            durations: Family::new_with_constructor(duration_buckets),
            first_tokens: Family::new_with_constructor(first_token_buckets),
            token_gaps: Family::new_with_constructor(token_gap_buckets),
            requests: Family::default(),
            tokens: Family::default(),
            connections: Gauge::default(),
            turned_away: Counter::default(),
        }
    }

    /// A request was answered, as far as its head.
    pub(crate) fn request(&self, endpoint: Endpoint, status: u16, took: Duration) {
        self.requests
            .get_or_create(&RequestLabels {
                endpoint,
                code: status,
            })
            .inc();
        self.durations
            .get_or_create(&EndpointLabels { endpoint })
            .observe(took.as_secs_f64());
    }

    fn job(&self, model: &str, job: &Job) {
        let usage = job.usage();
        let count = |kind, tokens: u32| {
            if tokens > 0 {
                let labels = TokenLabels {
                    model: model.to_owned(),
                    kind,
                };
                self.tokens.get_or_create(&labels).inc_by(tokens.into());
            }
        };
        count(TokenKind::Prompt, usage.prompt_tokens);
        count(TokenKind::Cached, usage.cached_tokens);
        count(TokenKind::Completion, usage.completion_tokens);
        let Some(first) = job.first_token_after() else {
            return;
        };
        let labels = ModelLabels {
            model: model.to_owned(),
        };
        self.first_tokens
            .get_or_create(&labels)
            .observe(first.as_secs_f64());
        let rest = job.arrived().elapsed().saturating_sub(first);
        if usage.completion_tokens > 1 {
            let gap = rest.as_secs_f64() / f64::from(usage.completion_tokens - 1);
            self.token_gaps.get_or_create(&labels).observe(gap);
        }
    }
}

/// Watches one generation and counts it when it ends.
#[derive(Debug)]
pub struct Watch {
    metrics: Arc<Metrics>,
    model: Arc<str>,
}

impl Watch {
    pub(crate) fn new(metrics: Arc<Metrics>, model: Arc<str>) -> Self {
        Self { metrics, model }
    }

    /// It ended, well or badly; what it used counts either way.
    pub(crate) fn ended(self, job: &Job) {
        self.metrics.job(&self.model, job);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: Endpoint,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: Endpoint,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    model: String,
    kind: TokenKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum TokenKind {
    Prompt,
    Cached,
    Completion,
}

impl EncodeLabelValue for TokenKind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let name = match self {
            Self::Prompt => "prompt",
            Self::Cached => "cached",
            Self::Completion => "completion",
        };
        name.encode(encoder)
    }
}

/// From a page that is in memory to an answer of minutes.
fn duration_buckets() -> Histogram {
    Histogram::new([
        0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
    ])
}

/// People notice 0.1 s and leave after 10.
fn first_token_buckets() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ])
}

/// From 2,000 tokens a second to one.
fn token_gap_buckets() -> Histogram {
    Histogram::new([
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
    ])
}
