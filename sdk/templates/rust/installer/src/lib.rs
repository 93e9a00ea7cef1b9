//! A step of a setup: a folder for models, on the disk with the most room.
//!
//! It imports nothing, so it is built without the standard library; tests run natively and have it.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use skep_sdk::installer::{
    Description, Disk, Facts, Finding, Form, Installer, MakeFolder, Owner, Plan,
};

pub struct Folder;

/// What somebody wants, once everything is answered.
pub struct Wish {
    folder: String,
}

impl Installer for Folder {
    type Wish = Wish;

    fn describe() -> Description {
        Description::new("Model folder", "Makes a folder for models where there is room.")
    }

    // Called as somebody types: asks, and says what is wrong.
    fn ask(facts: &Facts, form: &mut Form<'_>) -> Wish {
        let mount = roomiest(facts).map_or("", |disk| disk.mount.trim_end_matches('/'));
        let folder = form
            .text("folder", "Folder")
            .help("Models take 1 to 100 GB each.")
            .default(format!("{mount}/srv/models"))
            .at_most(200)
            .get();
        if !folder.starts_with('/') {
            form.wrong("folder", "begin with `/`, as `/srv/models`");
        }
        Wish { folder }
    }

    // Says how the machine should be. The host looks what is so already, and does the rest once somebody agreed.
    fn plan(_: &Facts, wish: Wish, plan: &mut Plan) -> Result<(), String> {
        let folder = MakeFolder {
            path: wish.folder,
            mode: 0o755,
            owner: Owner::default(),
        };
        plan.act(folder, "Models are kept there.");
        Ok(())
    }

    fn check(facts: &Facts) -> Vec<Finding> {
        let Some(disk) = roomiest(facts) else {
            return vec![Finding::notice("No disk is known.", "the list of disks is empty")];
        };
        let seen = format!("{} GB free on {}", disk.free_bytes / 1_000_000_000, disk.mount);
        if disk.free_bytes < 20_000_000_000 {
            return vec![Finding::warning("There is little room for models.", seen).remedy("add a disk")];
        }
        vec![Finding::fine("There is room for models.", seen)]
    }
}

fn roomiest(facts: &Facts) -> Option<&Disk> {
    let disks = facts.disks.iter().filter(|disk| !disk.read_only);
    disks.max_by_key(|disk| disk.free_bytes)
}

skep_sdk::installer!(Folder);

#[cfg(test)]
mod tests {
    use super::*;
    use skep_sdk::installer::{Value, answer, samples, try_out};

    #[test]
    fn the_default_is_a_plan() {
        let tried = try_out::<Folder>(&samples::debian(), &[]);
        assert_eq!(tried.plan.unwrap().actions.len(), 1);
    }

    #[test]
    fn a_relative_path_is_wrong() {
        let answers = [answer("folder", Value::Text("models".into()))];
        let tried = try_out::<Folder>(&samples::debian(), &answers);
        assert!(tried.problem("folder").is_some());
        assert!(tried.plan.is_err());
    }
}
