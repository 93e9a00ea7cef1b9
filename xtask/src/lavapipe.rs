//! A Vulkan device for any machine: Mesa's, which computes on the processor.
//!
//! Decides where its driver is and that tests see no other, so that none runs on a card by chance. Refuses to fail where it is
//! missing and we may not install it: then it says so.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup;

/// Lets a command's Vulkan find lavapipe alone.
pub(crate) fn given(command: &mut Command) -> &mut Command {
    match driver() {
        Ok(driver) => command
            .env("SKEP_EXPECT_LAVAPIPE", "1")
            // The loader's name for it since 1.3.207, and the one before.
            .env("VK_DRIVER_FILES", &driver)
            .env("VK_ICD_FILENAMES", &driver),
        Err(why) => {
            eprintln!("!!! kernels for Vulkan: SKIPPED, nothing tests them here: {why:#}");
            command
        }
    }
}

/// The file by which the loader finds it.
fn driver() -> Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    // It depends on the loader.
    setup::install(PACKAGE, "testing kernels for Vulkan")?;
    find().with_context(|| format!("`{PACKAGE}` was installed, and `{FOLDER}` has no lavapipe"))
}

fn find() -> Option<PathBuf> {
    let mut files = fs::read_dir(FOLDER).ok()?.flatten();
    files
        .find(|file| file.file_name().to_string_lossy().starts_with("lvp_icd."))
        .map(|file| file.path())
}

const FOLDER: &str = "/usr/share/vulkan/icd.d";
const PACKAGE: &str = "mesa-vulkan-drivers";
