//! Where a model goes on this node, and how it is opened there.
//!
//! Decides what the scheduler is told of a model's need and which devices it may choose from. Refuses to choose.

use skep_core::Health;

use super::{NoPlace, Router, facts};
use crate::fleet::{self, ModelSpec};
use crate::host::scheduler as host;
use crate::models::{Format, Model, ModelName};
use crate::protocol::{ComputesOn, FileSource};

impl Router {
    /// The place of a model, and how to open it there.
    pub(super) fn placed(&self, model: &str) -> Result<ModelSpec, String> {
        let found = self.found(model)?;
        let draft = self.shared.drafts.get(model);
        let draft = draft
            .filter(|_| self.shared.opening.speculate)
            .map(|draft| {
                self.found(draft).map_err(|why| {
                    format!("the draft model of `{model}` in `models.drafts`: {why}")
                })
            });
        let draft = draft.transpose()?;
        let draft_bytes = draft.as_ref().map_or(0, Model::bytes);
        let decision = self.shared.policies.place(&host::Job {
            model: model.into(),
            digest: found.digest().to_string(),
            memory_bytes: self
                .took(&found, draft.as_ref())
                .unwrap_or_else(|| found.bytes().saturating_add(draft_bytes)),
            require: Vec::new(),
            devices: self.allowed(),
        });
        let placement = decision.answer.map_err(|refusal| self.no_place(refusal))?;
        let home = self.shared.node.to_string();
        let mut ranked = placement.ranked.into_iter();
        let spot = ranked.find(|spot| spot.node == home);
        let devices = spot.map(|spot| spot.devices).unwrap_or_default();
        tracing::info!(model, policy = %decision.by, ?devices, why = %placement.why, "loading");
        Ok(ModelSpec {
            name: model.into(),
            files: vec![stored(&found)],
            draft: draft.as_ref().map(stored),
            plugin: self.engine(model).into(),
            devices,
            settings: self.shared.opening,
            threads: self.shared.threads,
            computes_on: self.shared.computes_on.clone(),
            memory_bytes: None,
        })
    }

    /// What a model took of the card when it was last opened as it would be now.
    fn took(&self, model: &Model, draft: Option<&Model>) -> Option<u64> {
        match self.shared.computes_on {
            ComputesOn::Processor => None,
            ComputesOn::Card { .. } => model.card_bytes(&self.how(draft)),
        }
    }

    /// Remembers what a replica took of the card, for the next time that its model is placed.
    pub(super) fn remember(&self, replica: fleet::ReplicaId) {
        let replicas = self.shared.fleet.replicas();
        let status = replicas.into_iter().find(|status| status.id == replica);
        let Some((bytes, name)) = status.and_then(|of| Some((of.card_bytes?, of.model))) else {
            return;
        };
        let (Ok(model), draft) = (self.found(&name), self.shared.drafts.get(&name)) else {
            return;
        };
        let draft = draft.and_then(|draft| self.found(draft).ok());
        let how = self.how(draft.as_ref().filter(|_| self.shared.opening.speculate));
        self.shared.runtime.spawn_blocking(move || {
            // The next placement goes by the file's size then, as this one did.
            if let Err(error) = model.remember_card_bytes(&how, bytes) {
                tracing::warn!(model = %model.name(), %error, "could not remember what a model takes of its card");
            }
        });
    }

    /// All that decides how much memory a model takes beside its file.
    fn how(&self, draft: Option<&Model>) -> String {
        let draft = draft.map(|draft| draft.digest().to_string());
        format!("{:?} {draft:?}", self.shared.opening)
    }

    /// The devices that models may be placed on, by what they are called now.
    fn allowed(&self) -> Vec<String> {
        let mut devices = self.shared.devices.clone();
        if let Some(id) = self.shared.computes_on.card() {
            let card = facts::lock(&self.shared.card).clone();
            let name = id.to_string();
            for device in devices.iter_mut().filter(|device| **device == name) {
                device.clone_from(card.as_ref().unwrap_or(&name));
            }
        }
        devices
    }

    /// Why a model can be placed nowhere; where a device that it may be placed on is not well, that is why.
    fn no_place(&self, refusal: host::Refusal) -> String {
        let allowed = self.allowed();
        let state = self.state();
        let node = state.core.registry().node(&self.shared.node);
        let devices = node.map(|node| node.devices.as_slice()).unwrap_or_default();
        let unwell = devices
            .iter()
            .filter(|device| allowed.contains(&device.id))
            .find_map(|device| match &device.health {
                Health::Lost(why) => Some(format!("`{}` is lost: {why}", device.id)),
                Health::Healthy | Health::Degraded(_) => None,
            });
        let refusal = NoPlace(refusal).to_string();
        match (unwell, &self.shared.computes_on) {
            (None, _) => refusal,
            (Some(why), ComputesOn::Processor) => format!("{refusal}: {why}"),
            (Some(why), ComputesOn::Card { .. }) => format!(
                "{refusal}: {why}; see `skep doctor`, or set `node.device = \"cpu\"` to compute on the processor"
            ),
        }
    }

    /// The engine plugin that runs a model.
    fn engine(&self, model: &str) -> &str {
        let named = self.shared.engines.get(model);
        named.map_or(ENGINE, String::as_str)
    }

    /// A model of the catalogue that can be run.
    pub(super) fn found(&self, model: &str) -> Result<Model, String> {
        let name: ModelName = model.parse().map_err(|error| format!("{error}"))?;
        let found = self
            .shared
            .catalogue
            .find(&name)
            .map_err(|error| error.to_string())?;
        if found.format() != Format::Gguf && !self.shared.engines.contains_key(model) {
            return Err(format!(
                "`{model}` is {}, and `{ENGINE}` does not run that; an engine that does is named in `models.engines`",
                found.format()
            ));
        }
        Ok(found)
    }
}

/// The engine plugin that runs the models for which none is named.
const ENGINE: &str = "llama";

fn stored(model: &Model) -> FileSource {
    FileSource::Stored {
        path: model.path().to_path_buf(),
        packed: model.packed_path(),
    }
}
