//! What each upstream offered the last time, over restarts: its models are known before it has answered again.
//!
//! Decides that what was remembered counts for the same plugin with the same settings alone. A file that cannot be read or
//! written costs nothing but that, and is told in the log.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::shared::lock;
use super::unit::Unit;
use super::{Service, file};
use crate::protocol::Offer;

/// A file for each upstream.
#[derive(Debug)]
pub(super) struct Remembered {
    folder: PathBuf,
    /// Held while a file changes, so that the last list is the one that stays.
    changing: Mutex<()>,
}

/// One file's content.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    plugin: String,
    settings: BTreeMap<String, String>,
    offers: Vec<Offer>,
}

impl Remembered {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            changing: Mutex::default(),
        }
    }

    /// What this upstream offered the last time.
    pub(super) fn of(&self, service: &Service) -> Vec<Offer> {
        let path = self.path(&service.name);
        match file::read::<Kept>(&path) {
            Ok(Some(kept)) => {
                let same = (&kept.plugin, &kept.settings) == (&service.plugin, &service.settings);
                if same { kept.offers } else { Vec::new() }
            }
            Ok(None) => Vec::new(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "could not read what an upstream offered; it is asked");
                Vec::new()
            }
        }
    }

    /// Keeps what an upstream offers now, unless it is on its way out.
    pub(super) fn keep(&self, unit: &Unit) {
        let _changing = lock(&self.changing);
        if *unit.ending().borrow() {
            return;
        }
        let offers = unit.now().offers.into_iter().map(|(_, exposed)| Offer {
            id: exposed.id.to_string(),
            info: exposed.info,
        });
        let kept = Kept {
            plugin: unit.service.plugin.clone(),
            settings: unit.service.settings.clone(),
            offers: offers.collect(),
        };
        let path = self.path(&unit.service.name);
        let written = std::fs::create_dir_all(&self.folder)
            .map_err(|error| error.to_string())
            .and_then(|()| file::write(&path, &kept).map_err(|error| error.to_string()));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "could not keep what an upstream offers");
        }
    }

    /// Nothing is known of an upstream any more.
    pub(super) fn forget(&self, name: &str) {
        let _changing = lock(&self.changing);
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "could not forget what an upstream offered");
            }
            _ => {}
        }
    }

    /// Names of services are names of files: a configured one was checked.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }
}

#[cfg(test)]
mod tests {
    use skep_core::ReplicaId;
    use tokio::sync::watch;

    use super::super::Kind;
    use super::super::offers::exposed;
    use super::*;

    fn service(base: &str) -> Service {
        Service {
            kind: Kind::Upstream,
            name: "up".into(),
            plugin: "p".into(),
            settings: [("base-url".to_owned(), base.to_owned())].into(),
            models: Vec::new(),
            prefix: false,
            timeout_s: None,
            added_unix_s: 0,
        }
    }

    #[test]
    fn a_list_counts_for_the_same_settings_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let remembered = Remembered::new(folder.path().join("offers"));
        let offer = |id: &str| Offer {
            id: id.into(),
            info: None,
        };
        let unit = |service: &Service, ids: &[&str]| {
            let unit = Unit::new(service.clone(), Vec::new(), watch::Sender::new(0));
            let offers = exposed(service, ids.iter().map(|id| offer(id)).collect());
            let numbered = offers.into_iter().enumerate();
            unit.set_offers(
                numbered
                    .map(|(at, of)| (ReplicaId(at as u64), of))
                    .collect(),
            );
            unit
        };
        let here = service("http://127.0.0.1:1/v1");
        assert_eq!(remembered.of(&here), []);
        remembered.keep(&unit(&here, &["a", "b"]));
        assert_eq!(remembered.of(&here), [offer("a"), offer("b")]);
        assert_eq!(remembered.of(&service("http://127.0.0.1:2/v1")), []);
        // What is on its way out leaves nothing behind.
        let going = unit(&here, &["c"]);
        going.end();
        remembered.keep(&going);
        assert_eq!(remembered.of(&here), [offer("a"), offer("b")]);
        std::fs::write(folder.path().join("offers/up.json"), "{").unwrap();
        assert_eq!(remembered.of(&here), []);
        remembered.forget("up");
        remembered.forget("up");
        assert!(!folder.path().join("offers/up.json").exists());
    }
}
